"""Settings of domains and whom they trust. Part of `app.settings.Settings`, first of its fields: others need them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from pydantic import field_validator
from pydantic_settings import BaseSettings

from agents.model.catalogue import Catalogue
from app.settings.objects import catalogue_of
from app.settings.values import Names

#: The domains that are loaded unless others are named.
DEFAULT_DOMAINS: Final = ("agents.shop:shop",)
#: An absolute URI (RFC 3986), as far as a mistake in a setting shows: a scheme, and no space in the rest.
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")


class DomainSettings(BaseSettings):
    """What is loaded. Raises pydantic's `ValidationError`."""

    #: Domains, `module:name`, in packages that are installed or in the current folder.
    domains: Names = DEFAULT_DOMAINS
    #: Sources of events, besides our agents, whose verdicts recovery acts on.
    trusted_sources: Names = ()

    @field_validator("domains")
    @classmethod
    def _fit_together(cls, places: Sequence[str]) -> Sequence[str]:
        catalogue_of(places)
        return places

    @field_validator("trusted_sources")
    @classmethod
    def _are_uris(cls, sources: Sequence[str]) -> Sequence[str]:
        for source in sources:
            if not _URI.fullmatch(source):
                raise ValueError(f"{source!r} is no URI of a source, such as urn:shop:checks")
        return sources

    @property
    def catalogue(self) -> Catalogue:
        """Everything they declare."""
        return catalogue_of(self.domains, self.trusted_sources)
