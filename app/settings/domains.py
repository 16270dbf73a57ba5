"""The setting of domains. Part of `app.settings.Settings`, and first of its fields: others are judged by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import field_validator
from pydantic_settings import BaseSettings

from agents.model.catalogue import Catalogue
from app.settings.objects import catalogue_of
from app.settings.values import Names

#: The domains that are loaded unless others are named.
DEFAULT_DOMAINS: Final = ("agents.shop:shop",)


class DomainSettings(BaseSettings):
    """What is loaded. Raises pydantic's `ValidationError`."""

    #: Domains, `module:name`, in packages that are installed or in the current folder.
    domains: Names = DEFAULT_DOMAINS

    @field_validator("domains")
    @classmethod
    def _fit_together(cls, places: Sequence[str]) -> Sequence[str]:
        catalogue_of(places)
        return places

    @property
    def catalogue(self) -> Catalogue:
        """Everything they declare."""
        return catalogue_of(self.domains)
