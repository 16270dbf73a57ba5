"""The choreography of the shop in memory (`app.testing.choreography`)."""

from __future__ import annotations

from dataclasses import dataclass

from shop_catalogue import CATALOGUE

from agents.model.catalogue import Catalogue
from app.testing import choreography


@dataclass(kw_only=True)
class Choreography(choreography.Choreography):
    """Runs the agents of the shop, unless others are given, over records."""

    catalogue: Catalogue = CATALOGUE
