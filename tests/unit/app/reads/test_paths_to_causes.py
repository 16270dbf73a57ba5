"""Who calls whom by what they told each other, and the way from an alarm to its cause."""

from __future__ import annotations

from app.reads.causes import calls_of, path_between

TOLD = [
    {"service": "web", "suggested_by": "api"},
    {"service": "web", "suggested_by": "cart"},
    {"service": "api", "suggested_by": "store"},
    {"service": "api", "suggested_by": "store"},
    {"service": "store", "suggested_by": "web"},
]


def test_what_was_handed_up_says_who_calls_whom() -> None:
    assert calls_of([*TOLD, {"service": 7, "suggested_by": "x"}, {}]) == {
        "web": ["api", "cart"],
        "api": ["store"],
        "store": ["web"],
    }


def test_the_way_from_an_alarm_to_its_cause_is_the_shortest_along_calls() -> None:
    calls = calls_of(TOLD)

    assert path_between("web", "store", calls) == ["web", "api", "store"]
    assert path_between("web", "web", calls) == ["web"]


def test_where_no_way_is_known_the_ends_are_told_alone() -> None:
    assert path_between("cart", "store", calls_of(TOLD)) == ["cart", "store"]
