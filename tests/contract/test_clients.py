"""A client of a model keeps the same rules over HTTP and in the fake of the tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
from interviews import Client as FakeClient
from scripted_model import Misbehave, Prompt, asking, one_after_another

from agents.brains.interview import Client
from agents.model.errors import BrainUnavailable, Unavailable

PROMPT = Prompt(system="You decide.", user="A payment of 20 EUR.")
SCHEMA = {"title": "Choice", "type": "object", "properties": {}, "required": [], "additionalProperties": False}
#: How a server brings these reasons about.
MISBEHAVIOURS = {
    Unavailable.RATE_LIMITED: "rate_limited",
    Unavailable.SERVER_ERROR: "server_error",
    Unavailable.CONNECTION: "cut",
    Unavailable.MALFORMED: "malformed",
    Unavailable.REFUSED: "refusal",
    Unavailable.TOO_LONG: "too_long",
}


@dataclass
class Scene:
    """A client, and what the model was asked: system text, user text and schema."""

    client: Client
    asked: Callable[[], list[tuple[str, str, object]]]
    #: Have the client leave the model alone from now on.
    close: Callable[[], Awaitable[None]]

    async def refused(self, *, deadline_seconds: float = 60) -> BrainUnavailable:
        """Ask; the error that comes in place of a reply."""
        with pytest.raises(BrainUnavailable) as raised:
            await self.client.complete(PROMPT, SCHEMA, deadline_seconds=deadline_seconds)
        return raised.value


Answers = Sequence[str | Unavailable]
SceneOf = Callable[..., Awaitable[Scene]]


@pytest.fixture(params=["fake", "http"])
def scene_of(request: pytest.FixtureRequest, closing: AsyncExitStack) -> SceneOf:
    """A client whose model gives these answers in turn, or fails for these reasons."""

    async def build(*answers: str | Unavailable) -> Scene:
        return of_fake(answers) if request.param == "fake" else await over_http(answers, closing)

    return build


def of_fake(answers: Answers) -> Scene:
    client = FakeClient(
        [BrainUnavailable(each, "no reply") if isinstance(each, Unavailable) else each for each in answers]
    )

    async def close() -> None:
        client.closed = BrainUnavailable(Unavailable.CIRCUIT_OPEN, "open")

    return Scene(client, lambda: [(prompt.system, prompt.user, schema) for prompt, schema in client.asked], close)


async def over_http(answers: Answers, closing: AsyncExitStack) -> Scene:
    script = one_after_another(
        *(
            Misbehave(how=MISBEHAVIOURS[each], retry_after="0") if isinstance(each, Unavailable) else each
            for each in answers
        )
    )
    client, model = await closing.enter_async_context(
        asking(script, attempts=1, circuit_failures=3, circuit_open_seconds=600)
    )

    async def close() -> None:
        model.script = lambda _: Misbehave(how="server_error")
        for _ in range(3):
            with pytest.raises(BrainUnavailable):
                await client.complete(PROMPT, SCHEMA, deadline_seconds=60)
        model.asked.clear()

    return Scene(client, lambda: [(each.system, each.user, each.schema) for each in model.asked], close)


@pytest.mark.parametrize("text", ['{"outcome": "approve"}', "half {", "…\N{SNOWMAN}\n\0"])
async def test_a_reply_comes_as_it_was_said_with_its_model_and_its_cost(scene_of: SceneOf, text: str) -> None:
    scene = await scene_of(text)

    reply = await scene.client.complete(PROMPT, SCHEMA, deadline_seconds=60)

    assert (reply.text, reply.unanswered) == (text, 0)
    assert reply.model.startswith("tiny")
    assert isinstance(reply.prompt_tokens, int)
    assert isinstance(reply.completion_tokens, int)
    assert reply.latency_seconds > 0
    assert scene.asked() == [("You decide.", "A payment of 20 EUR.", SCHEMA)]


async def test_a_model_is_told_no_half_of_a_surrogate_pair(scene_of: SceneOf) -> None:
    scene = await scene_of("yes")

    await scene.client.complete(Prompt(system="You \udc00 decide.", user="a\ud800b"), SCHEMA, deadline_seconds=60)

    assert scene.asked() == [("You ? decide.", "a?b", SCHEMA)]


async def test_each_request_gets_an_answer_of_its_own(scene_of: SceneOf) -> None:
    scene = await scene_of("one", "two", "three")

    replies = await asyncio.gather(*(scene.client.complete(PROMPT, SCHEMA, deadline_seconds=60) for _ in range(3)))

    assert {reply.text for reply in replies} == {"one", "two", "three"}
    assert len(scene.asked()) == 3


@pytest.mark.parametrize("reason", MISBEHAVIOURS)
async def test_what_is_no_reply_has_its_reason_and_the_next_one_is_asked_for(
    scene_of: SceneOf, reason: Unavailable
) -> None:
    scene = await scene_of(reason, "better")

    assert (await scene.refused()).reason == reason

    scene.client.check()
    assert (await scene.client.complete(PROMPT, SCHEMA, deadline_seconds=60)).text == "better"
    assert len(scene.asked()) == 2


async def test_a_model_that_is_left_alone_is_not_asked_and_that_is_known_before(scene_of: SceneOf) -> None:
    scene = await scene_of("never said")
    scene.client.check()
    await scene.close()

    with pytest.raises(BrainUnavailable) as known:
        scene.client.check()

    assert known.value.reason == (await scene.refused()).reason == Unavailable.CIRCUIT_OPEN
    assert scene.asked() == []


@pytest.mark.parametrize("deadline_seconds", [0, -1])
async def test_without_time_left_there_is_no_reply(scene_of: SceneOf, deadline_seconds: float) -> None:
    scene = await scene_of("too late")

    assert (await scene.refused(deadline_seconds=deadline_seconds)).reason == Unavailable.TIMEOUT
