"""A listing shows columns that are declared, and is refused in one line where they are not."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from agents import Catalogue, Domain, DomainInvalid, ListedRow, Listing, ListingInvalid


class Build(ListedRow):
    """A build."""

    build_id: str
    repository_id: str
    built_at: datetime


class Quoted(ListedRow):
    """A column that would have to be quoted."""

    Id: str


GOOD: dict[str, Any] = {
    "name": "builds",
    "title": "Builds",
    "row": Build,
    "at": "built_at",
    "key": "build_id",
    "filters": ("repository_id",),
}


def test_a_listing_reads_the_table_of_its_name_unless_told_otherwise() -> None:
    assert Listing(**GOOD).source == "builds"
    assert Listing(**{**GOOD, "table": "ci.finished_builds"}).source == "ci.finished_builds"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"name": "Builds"}, "listing 'Builds': a name is lower-case letters, digits and _, at most 40"),
        ({"name": ""}, "listing '': a name is lower-case letters, digits and _, at most 40"),
        ({"table": "builds; DROP TABLE x"}, "listing 'builds': 'builds; DROP TABLE x' is no name of a table"),
        ({"table": "a.b.c"}, "listing 'builds': 'a.b.c' is no name of a table"),
        ({"row": Quoted}, "listing 'builds': 'Id' is no name of a column"),
        ({"at": "made_at"}, "listing 'builds': Build has no field made_at"),
        ({"key": "id"}, "listing 'builds': Build has no field id"),
        ({"filters": ("colour",)}, "listing 'builds': Build has no field colour"),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ListingInvalid) as refused:
        Listing(**{**GOOD, **changes})

    assert str(refused.value) == why


def test_two_domains_cannot_show_listings_of_one_name() -> None:
    first, second = (Domain(name=name, listings=(Listing(**GOOD),)) for name in ("one", "two"))

    with pytest.raises(DomainInvalid, match="two listings are called builds"):
        Catalogue([first, second])


def test_a_listing_is_a_value_of_its_class() -> None:
    with pytest.raises(DomainInvalid, match="listings must be a sequence of Listing, got str in it"):
        Domain(name="one", listings=("builds",))  # type: ignore[arg-type]
