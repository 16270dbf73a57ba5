"""Answers of the scripted model fit any form, name events that it was told of, and are often enough what is meant."""

from __future__ import annotations

import random
from collections import Counter
from typing import Annotated, Literal

import orjson
import pytest
from pydantic import BaseModel, ConfigDict, Field
from shop_catalogue import AGENTS, CHOOSERS

from agents.brains.schema import strict_schema
from app.scripted_model.answers import Named, Told, filled

TASK = """You are an agent. Each failure has its event: label_failed LabelFailed, duplicate_capture the later
PaymentSucceeded, price_changed PriceChanged. Answer unknown otherwise."""
HISTORY = (
    Named("1", "OrderPlaced"),
    Named("2", "LabelFailed"),
    Named("3", "PaymentSucceeded"),
    Named("4", "ReviewPosted"),
)


class Cause(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    rationale: str
    culprit_event_id: str | None
    failure: Literal["label_failed", "duplicate_capture", "price_changed", "unknown"]
    confidence: Annotated[float, Field(ge=0, le=1)]
    evidence: tuple[str, ...]
    signs: Annotated[tuple[Literal["new", "odd"], ...], Field(max_length=6)]
    go_ahead: bool


class Change(BaseModel):
    culprit_event_id: str | None


class Remedy(BaseModel):
    plan: Annotated[
        Literal["cancel", "retry", "escalate"],
        Field(description="label_failed: retry. price_changed: cancel. escalate: a person decides."),
    ]


def causes(*history: Named) -> list[Cause]:
    schema = strict_schema(Cause)
    answers = [filled(schema, random.Random(seed), Told(TASK, history)) for seed in range(200)]
    return [Cause.model_validate_json(orjson.dumps(answer), strict=True) for answer in answers]


def test_a_prompt_tells_the_task_the_history_and_what_the_event_says() -> None:
    prompt = {
        "decide_on": {"id": "9", "type": "RootCauseIdentified", "data": {"failure": "label_failed", "confidence": 1.0}},
        "history": [{"id": "1", "type": "OrderPlaced"}],
    }
    told = Told.by("the task", orjson.dumps(prompt).decode())
    assert told == Told("the task", [Named("1", "OrderPlaced")], ["label_failed"])


@pytest.mark.parametrize("user", ["payment 1", "[]", "{}", "17", "", '{"history": 3}', '{"history": []}'])
def test_another_prompt_tells_its_task_alone(user: str) -> None:
    assert Told.by("the task", user) == Told("the task")


def test_a_culprit_is_named_for_the_failure_that_the_task_gives_its_type_to() -> None:
    named = Counter((each.culprit_event_id, each.failure) for each in causes(*HISTORY))
    assert set(named) == {("2", "label_failed"), ("3", "duplicate_capture"), (None, "unknown")}


def test_the_culprit_is_the_last_of_its_type_and_at_times_there_is_none() -> None:
    named = Counter(each.culprit_event_id for each in causes(*HISTORY, Named("5", "PaymentSucceeded")))
    assert named.keys() == {"2", "5", None}
    assert all(30 < times < 100 for times in named.values())


def test_nothing_to_name_is_said_to_be_unknown() -> None:
    named = {(each.culprit_event_id, each.failure) for each in causes(Named("1", "OrderPlaced"))}
    assert named == {(None, "unknown")}


def test_evidence_is_told_of_and_named_once() -> None:
    for each in causes(*HISTORY):
        assert len(set(each.evidence)) == len(each.evidence)
        assert set(each.evidence) <= {"1", "2", "3", "4"}
    assert any(each.evidence for each in causes(*HISTORY))


def test_most_answers_go_ahead_and_are_rather_sure() -> None:
    answers = causes(*HISTORY)
    assert 170 < sum(each.go_ahead for each in answers) < 200
    assert all(0.5 <= each.confidence <= 1 for each in answers)


def test_a_form_without_words_is_filled_with_what_the_task_names() -> None:
    told = Told("Name the LabelFailed it was.", HISTORY)
    named = {filled(strict_schema(Change), random.Random(seed), told)["culprit_event_id"] for seed in range(100)}
    assert named == {"2", None}


@pytest.mark.parametrize(
    ("words", "plans"),
    [
        (["o-1", "label_failed"], {"retry"}),
        (["price_changed"], {"cancel"}),
        (["o-1"], {"cancel", "retry", "escalate"}),
        ([], {"cancel", "retry", "escalate"}),
    ],
)
def test_a_word_of_the_event_chooses_what_is_said_next_after_it(words: list[str], plans: set[str]) -> None:
    told = Told("Choose.", (), words)
    assert {filled(strict_schema(Remedy), random.Random(seed), told)["plan"] for seed in range(50)} == plans


def test_the_same_draw_gives_the_same_answer() -> None:
    schema, told = strict_schema(Cause), Told(TASK, HISTORY)
    assert filled(schema, random.Random(7), told) == filled(schema, random.Random(7), told)


def test_no_schema_is_an_empty_object() -> None:
    assert filled({}, random.Random(7)) == {}


@pytest.mark.parametrize("name", CHOOSERS)
def test_the_form_of_every_agent_can_be_filled(name: str) -> None:
    choosing = AGENTS[name].choosing
    assert choosing is not None
    schema = strict_schema(choosing.form)
    for seed in range(50):
        answer = filled(schema, random.Random(seed), Told(choosing.task, HISTORY, ["label_failed"]))
        choosing.form.model_validate_json(orjson.dumps(answer), strict=True)
