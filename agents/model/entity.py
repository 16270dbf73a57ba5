"""Entity: whom an event is about, such as a service or a repository."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

#: A name becomes a part of a topic's name and a column's value.
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_FIELD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,79}")


@dataclass(frozen=True, slots=True)
class Entity:
    """A kind of thing that has a timeline. An event belongs to the one whose id stands in `data` under `field`.

    Raises ValueError when a name is not usable.
    """

    name: str
    #: The field of `data` that holds the id: text of 1 to 256 bytes in UTF-8.
    field: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"entity name {self.name!r}: expected lower-case letters, digits and _, at most 40")
        if not _FIELD.fullmatch(self.field):
            raise ValueError(f"entity {self.name}: {self.field!r} is no name of a field")

    def id_of(self, event: object) -> str | None:
        """The id of the entity that a domain event is about; None when it is about none of these."""
        found = getattr(event, self.field, None)
        return found if isinstance(found, str) and found else None

    def named(self, entity_id: str | None) -> Mapping[str, Any]:
        """The id as an event carries it: `ErrorOccurred(service="api", ..., **repository.named("r-1"))`.

        A string; typed so that it can be handed on as a keyword to an event that has other fields as well.
        """
        return {self.field: entity_id} if entity_id else {}
