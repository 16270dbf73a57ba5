"""A measure adds up fields that its effect has, by labels that are no ids, and is refused in one line otherwise."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Annotated, Any

import pytest
from pydantic import Field

from agents import Catalogue, Domain, DomainInvalid, Effect, Measure, MeasureInvalid, Statement


class Quarantine(Effect):
    """A repository is put aside."""

    repository_id: str
    reason: str
    builds: Annotated[int, Field(ge=0)]
    share: float

    def statements(self, decision_id: uuid.UUID) -> Sequence[Statement]:
        return [("SELECT %(id)s", {"id": str(decision_id)})]


GOOD: dict[str, Any] = {"name": "quarantined", "help": "Repositories put aside.", "effect": Quarantine}
ONE = Quarantine(repository_id="r-1", reason="flaky", builds=12, share=0.5)


def test_an_effect_counts_once_or_with_a_field_of_its_own() -> None:
    assert Measure(**GOOD).of(ONE) == ((), 1)
    assert Measure(**GOOD, labels=["reason"], adds="builds").of(ONE) == (("flaky",), 12)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"name": "Quarantined"}, "a name is lower-case"),
        ({"name": "quarantined_total"}, "without _total"),
        ({"effect": ONE}, "effect must be a class of Effect"),
        ({"labels": "reason"}, "labels must be a sequence"),
        ({"labels": ["why"]}, "Quarantine has no field why"),
        ({"labels": ["repository_id"]}, "repository_id is an id"),
        ({"adds": "none"}, "Quarantine has no field none"),
        ({"adds": "share"}, "share is no whole number"),
        ({"unit": "m/s"}, "the unit 'm/s' cannot end a name"),
    ],
)
def test_a_measure_of_what_is_not_there_is_refused_in_one_line(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(MeasureInvalid, match=why) as refusal:
        Measure(**GOOD | wrong)
    assert "\n" not in str(refusal.value)


def test_a_measure_needs_its_effect_loaded_and_a_name_of_its_own() -> None:
    with pytest.raises(DomainInvalid, match="domain ci: measure quarantined: no loaded domain declares the effect"):
        Catalogue([Domain(name="ci", measures=[Measure(**GOOD)])])
    with pytest.raises(DomainInvalid, match="domain ci: two measures are called quarantined"):
        Catalogue([Domain(name="ci", effects=[Quarantine], measures=[Measure(**GOOD)] * 2)])
    with pytest.raises(DomainInvalid, match="measures must be a sequence of Measure"):
        Domain(name="ci", measures=[Quarantine])  # type: ignore[list-item]
