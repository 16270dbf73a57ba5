"""Another language model in a replay: it is asked over HTTP, for as many tokens as were permitted."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
import pytest
from fakes import paid
from replaying import Bench, record_of
from scripted_model import Say

from agents.replay.comparison import Comparison
from agents.replay.sources import MemoryDecisions
from app.scripted_model.server import ScriptedModel
from app.settings import Settings
from app.timemachine.model_decider import TokenLimit, model_decider
from tables.event import to_json

REVIEW = orjson.dumps({"rationale": "who knows", "signs": [], "verdict": "review", "confidence": 0.7}).decode()


async def replayed(max_tokens: int) -> Sequence[Comparison]:
    """Three payments, each of another customer, decided by a model that wants all of them reviewed."""
    customers = ("ada", "bob", "cyd")
    log = [record_of(to_json(paid(f"e{n}", customer_id=name)), name, n) for n, name in enumerate(customers)]
    async with ScriptedModel(lambda _: Say(text=REVIEW)) as server:
        settings = Settings(_env_file=None, llm_url=server.url, llm_model="tiny")
        async with model_decider(settings, "other", max_tokens=max_tokens) as decider:
            bench = Bench({"timeline-customer": log}, MemoryDecisions([]))
            found = await bench.replay(decider, concurrency=3)
    return [each for each in found if each.agent == "fraud"]


async def test_the_model_decides_and_its_decisions_are_told_in_order() -> None:
    found = await replayed(100_000)

    assert [each.offset for each in found] == [0, 1, 2]
    assert [(each.decided.outcome, each.decided.brain) for each in found if each.decided] == [("review", "other")] * 3


async def test_without_tokens_the_rules_decide_and_say_so() -> None:
    found = await replayed(0)

    assert [each.decided.fallback_reason for each in found if each.decided] == ["budget_spent"] * 3


async def test_tokens_that_were_not_used_are_given_back() -> None:
    limit = TokenLimit(100)

    first = await limit.reserve("fraud", 80)
    assert first is not None
    assert await limit.reserve("fraud", 30) is None
    await limit.settle(first, 70)
    assert await limit.reserve("fraud", 30) is not None


@pytest.mark.parametrize(("url", "model"), [("", "tiny"), ("http://127.0.0.1:1/v1", "")])
async def test_a_model_that_nobody_named_cannot_be_asked(url: str, model: str) -> None:
    settings = Settings(_env_file=None, llm_url=url, llm_model="any")

    with pytest.raises(ValueError, match="deciding by a model needs"):
        async with model_decider(settings, model, max_tokens=1):
            pass
