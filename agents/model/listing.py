"""Listing: rows of a domain's own tables that people may look at, newest first and filtered, as every list is.

    Listing(name="builds", title="Builds", row=Build, at="built_at", key="build_id", filters=("repository_id",))

It becomes `GET /builds`, an operation of the OpenAPI document, and a view of the page. Nothing is written by it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict

from tables.errors import Fatal

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
#: Names of a table, or of a table in a schema; with less in them nothing has to be quoted.
_TABLE: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}(\.[a-z_][a-z0-9_]{0,62})?")


class ListingInvalid(Fatal):
    """A listing names what it does not have; the message is one line that says what."""


class ListedRow(BaseModel):
    """Columns that are shown, as fields of their names and types; a docstring below a field says what it holds."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Rows of one table or view. Raises `ListingInvalid`.

    `at` and `key` together must have an index of the table in descending order, and each filter one of its own: the
    list is read however long it is.
    """

    #: Lower-case letters, digits and _: the path, with - for _.
    name: str
    #: What people call it; its docstring says more.
    title: str
    row: type[ListedRow]
    #: When the row came to be: a column of the type timestamptz.
    at: str
    #: A column that no two rows share.
    key: str
    #: Columns people may look for a value of; texts, or what PostgreSQL casts from one.
    filters: Sequence[str] = ()
    #: The table or view; the name when it is None.
    table: str | None = None

    def __post_init__(self) -> None:
        where = f"listing {self.name!r}"
        if not _NAME.fullmatch(self.name):
            raise ListingInvalid(f"{where}: a name is lower-case letters, digits and _, at most 40")
        if not _TABLE.fullmatch(self.source):
            raise ListingInvalid(f"{where}: {self.source!r} is no name of a table")
        columns = self.row.model_fields
        if strange := [name for name in columns if not _NAME.fullmatch(name)]:
            raise ListingInvalid(f"{where}: {strange[0]!r} is no name of a column")
        for name in (self.at, self.key, *self.filters):
            if name not in columns:
                raise ListingInvalid(f"{where}: {self.row.__name__} has no field {name}")
        if reserved := {"limit", "before", "since", "until"} & set(self.filters):
            raise ListingInvalid(f"{where}: every list has {', '.join(sorted(reserved))} already")

    @property
    def source(self) -> str:
        """The table or view."""
        return self.table or self.name
