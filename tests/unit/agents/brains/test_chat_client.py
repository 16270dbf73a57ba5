"""The client of a model over real HTTP: whatever the server does, a reply or one word why not, within limits."""

from __future__ import annotations

import asyncio
import logging
import traceback
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr
from scripted_model import Misbehave, Prompt, Refuse, Say, asking, first, one_after_another

from agents.brains.client import ChatClient, Limits, Server
from agents.brains.places import Places
from agents.brains.retry_after import retry_after_seconds
from agents.model.errors import BrainUnavailable, Unavailable
from app.scripted_model.server import ScriptedModel

PROMPT = Prompt(system="You decide.", user="A payment of 20 EUR.")
SCHEMA = {
    "title": "Choice",
    "type": "object",
    "properties": {"outcome": {"type": "string", "enum": ["approve", "block"]}},
    "required": ["outcome"],
    "additionalProperties": False,
}
GOOD = '{"outcome": "approve"}'


async def refused(client: ChatClient, *, deadline_seconds: float = 30) -> BrainUnavailable:
    """Ask; the error that comes instead of a reply."""
    with pytest.raises(BrainUnavailable) as raised:
        await client.complete(PROMPT, SCHEMA, deadline_seconds=deadline_seconds)
    return raised.value


async def test_a_reply_comes_with_its_model_and_its_tokens() -> None:
    async with asking(GOOD) as (client, model):
        reply = await client.complete(PROMPT, SCHEMA, deadline_seconds=30)
    assert (reply.text, reply.model) == (GOOD, "tiny")
    assert (reply.prompt_tokens, reply.completion_tokens) == (8, 6)  # a quarter of 31 and of 22 characters, and 1
    assert reply.latency_seconds > 0
    [ask] = model.asked
    assert ask.body == {
        "model": "tiny",
        "messages": [
            {"role": "system", "content": "You decide."},
            {"role": "user", "content": "A payment of 20 EUR."},
        ],
        "stream": False,
        "max_tokens": 1024,
        "temperature": 0,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "Choice", "strict": True, "schema": SCHEMA},
        },
    }


async def test_a_prompt_with_half_a_surrogate_pair_is_sent_without_it() -> None:
    async with asking(GOOD) as (client, model):
        await client.complete(Prompt(system="You decide.", user="a\ud800b"), SCHEMA, deadline_seconds=30)
    assert model.asked[0].user == "a?b"


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("never_answers", "timeout"),
        ("timeout", "timeout"),
        ("rate_limited", "rate_limited"),
        ("server_error", "server_error"),
        ("cut", "connection"),
        ("malformed", "malformed"),
        ("compressed", "malformed"),
        ("missing_fields", "malformed"),
        ("refusal", "refused"),
        ("filtered", "refused"),
        ("too_long", "too_long"),
        ("endless", "too_long"),
    ],
)
async def test_each_way_to_misbehave_has_its_word(how: str, reason: str) -> None:
    async with asking(Misbehave(how=how, retry_after="0"), attempt_seconds=0.2, reply_bytes=64 * 1024) as (client, _):
        assert (await refused(client)).reason == reason


@pytest.mark.parametrize("how", ["never_answers", "timeout", "rate_limited", "server_error", "cut", "malformed"])
async def test_what_may_pass_is_asked_again(how: str) -> None:
    script = first(2, Misbehave(how=how, retry_after="0"), then=GOOD)
    # On a busy machine a good answer may be as late as none: it is asked for again then.
    async with asking(script, attempt_seconds=0.5, attempts=100, circuit_failures=1000) as (client, model):
        assert (await client.complete(PROMPT, SCHEMA, deadline_seconds=120)).text == GOOD
        assert len(model.asked) >= 3


async def test_attempts_are_counted() -> None:
    async with asking(Misbehave(how="server_error"), attempts=3) as (client, model):
        await refused(client)
        assert len(model.asked) == 3


@pytest.mark.parametrize("how", ["refusal", "filtered", "too_long", "endless"])
async def test_what_will_not_pass_is_not_paid_for_twice(how: str) -> None:
    async with asking(first(1, Misbehave(how=how), then=GOOD)) as (client, model):
        await refused(client)
        assert len(model.asked) == 1


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404])
async def test_a_wrong_key_model_or_address_is_not_asked_again(status: int) -> None:
    async with asking(Refuse(status=status, message="no")) as (client, model):
        assert (await refused(client)).reason == "bad_request"
        assert len(model.asked) == 1


async def test_a_redirect_is_not_followed_with_the_prompt() -> None:
    elsewhere = Refuse(status=307, message="moved", headers={"Location": "/v1/chat/completions?elsewhere"})
    async with asking(one_after_another(elsewhere, GOOD)) as (client, model):
        assert (await refused(client)).reason == "bad_request"
        assert len(model.asked) == 1


async def test_a_slow_answer_is_waited_for_within_the_attempt() -> None:
    slow = Misbehave(how="slow", text=GOOD, seconds=0.3)
    async with asking(slow) as (client, _):
        assert (await client.complete(PROMPT, SCHEMA, deadline_seconds=30)).text == GOOD
    async with asking(slow, attempts=1, attempt_seconds=0.1) as (client, _):
        assert (await refused(client)).reason == "timeout"


async def test_half_an_object_in_a_correct_envelope_is_for_the_reader_to_judge() -> None:
    async with asking(Misbehave(how="half_valid")) as (client, _):
        reply = await client.complete(PROMPT, SCHEMA, deadline_seconds=30)
    assert reply.text == '{"outcome": "approve", "confidence": 0.'


async def test_nobody_listening_is_a_lost_connection() -> None:
    async with asking(GOOD) as (client, model):
        await model.stop()
        assert (await refused(client)).reason == "connection"


async def test_the_deadline_ends_a_silent_server_before_the_attempt_would() -> None:
    async with asking(Misbehave(how="never_answers"), attempt_seconds=600) as (client, model):
        assert (await refused(client, deadline_seconds=0.2)).reason == "timeout"
        assert len(model.asked) == 1


@pytest.mark.parametrize("retry_after", ["3600", "Fri, 31 Dec 2100 23:59:59 GMT"])
async def test_a_server_that_wants_rest_beyond_the_deadline_is_left_at_once(retry_after: str) -> None:
    script = first(1, Misbehave(how="rate_limited", retry_after=retry_after), then=GOOD)
    async with asking(script) as (client, model):
        error = await refused(client)
        assert error.reason == "rate_limited"
        assert error.retry_after_seconds is not None
        assert error.retry_after_seconds >= 3600
        assert len(model.asked) == 1


async def test_the_rest_that_a_server_wants_is_kept() -> None:
    script = first(1, Misbehave(how="rate_limited", retry_after="1"), then=GOOD)
    async with asking(script) as (client, model):
        asking_now = asyncio.create_task(client.complete(PROMPT, SCHEMA, deadline_seconds=30))
        await asyncio.sleep(0.5)
        assert len(model.asked) == 1
        await asking_now
        assert len(model.asked) == 2


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("0.5", 0.5),
        ("Wed, 01 May 2024 12:00:30 GMT", 30),
        ("Wed, 01 May 2024 11:00:00 GMT", 0),
        (None, None),
        ("", None),
        ("-5", None),
        ("soon", None),
        ("1e9", None),
        ("\u0667", None),
        ("9" * 400, None),
        ("Wed, 99 May 99999 12:00:30 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, now=datetime(2024, 5, 1, 12, 0, tzinfo=UTC)) == seconds


def refuses(parameter: str, status: int = 400) -> Any:
    """A server that answers well but refuses requests in which the parameter appears."""
    return lambda ask: Refuse(status=status, message=f"unknown: {parameter}") if parameter in str(ask.body) else GOOD


@pytest.mark.parametrize("status", [400, 422, 500, 501, 503])
async def test_a_server_without_schemas_is_asked_for_json_and_told_the_schema(status: int) -> None:
    async with asking(refuses("json_schema", status)) as (client, model):
        await client.complete(PROMPT, SCHEMA, deadline_seconds=30)
        await client.complete(PROMPT, SCHEMA, deadline_seconds=30)
    assert [ask.body["response_format"]["type"] for ask in model.asked] == ["json_schema", "json_object", "json_object"]
    assert '"enum":["approve","block"]' in model.asked[1].system
    assert model.asked[1].user == "A payment of 20 EUR."


async def test_a_server_without_formats_is_asked_plainly() -> None:
    async with asking(refuses("response_format")) as (client, model):
        await client.complete(PROMPT, SCHEMA, deadline_seconds=30)
    assert len(model.asked) == 3
    assert "response_format" not in model.asked[2].body


@pytest.mark.parametrize(
    "message",
    [
        "Unable to generate parser for this template. JSON schema error at #: unrecognized type",  # llama.cpp
        "Failed to parse grammar",  # llama.cpp
        "The provided JSON schema contains features not supported by xgrammar.",  # vLLM
    ],
)
async def test_a_server_that_can_make_no_grammar_of_the_schema_is_asked_for_json(message: str) -> None:
    async with asking(one_after_another(Refuse(status=400, message=message), GOOD)) as (client, model):
        await client.complete(PROMPT, SCHEMA, deadline_seconds=30)
    assert model.asked[1].body["response_format"] == {"type": "json_object"}


def schema_fails(status: int) -> Any:
    """A server that answers a request with a schema by an error that names nothing."""
    return lambda ask: Refuse(status=status, message="internal error") if "json_schema" in str(ask.body) else GOOD


def formats(model: ScriptedModel) -> list[str]:
    return [ask.body.get("response_format", {"type": "text"})["type"] for ask in model.asked]


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_format_that_fails_without_a_reason_is_found_out_by_trying_a_simpler_one(status: int) -> None:
    async with asking(schema_fails(status), circuit_failures=3) as (client, model):
        for _ in range(3):
            assert (await client.complete(PROMPT, SCHEMA, deadline_seconds=30)).text == GOOD
    # Twice is suspicious; one that works is tried against the other once more before it is kept.
    assert formats(model) == ["json_schema", "json_schema", "json_object", "json_schema", "json_object", "json_object"]
    assert '"enum":["approve","block"]' in model.asked[2].system


async def test_the_plainest_format_is_tried_too() -> None:
    async with asking(
        lambda ask: Refuse(status=500, message="no") if "response_format" in ask.body else GOOD, attempts=4
    ) as (client, model):
        assert (await client.complete(PROMPT, SCHEMA, deadline_seconds=30)).text == GOOD
    assert formats(model) == ["json_schema", "json_schema", "json_object", "text"]


async def test_an_outage_teaches_no_simpler_format() -> None:
    async with asking(first(2, Misbehave(how="server_error"), then=GOOD)) as (client, model):
        for _ in range(3):
            await client.complete(PROMPT, SCHEMA, deadline_seconds=30)
    assert formats(model) == ["json_schema", "json_schema", "json_object", "json_schema", "json_schema"]


async def test_a_server_that_says_when_to_come_back_is_asked_the_same_again() -> None:
    busy = Refuse(status=503, message="grammar workers are busy", headers={"Retry-After": "0"})
    async with asking(first(1, busy, then=GOOD)) as (client, model):
        await client.complete(PROMPT, SCHEMA, deadline_seconds=30)
    assert formats(model) == ["json_schema", "json_schema"]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "System role not supported"),  # Gemma
        (500, "System role not supported"),  # llama.cpp, from the template
        (400, "Conversation roles must alternate user/assistant/user/assistant/..."),  # Mistral
        (400, "Unsupported value: 'messages[0].role' does not support 'system' with this model."),  # OpenAI
        (400, "Developer instruction is not enabled for models/gemma-3"),  # Google
    ],
)
async def test_a_model_without_a_system_text_is_told_in_the_users(status: int, message: str) -> None:
    def script(ask: Any) -> Any:
        return Refuse(status=status, message=message) if ask.system else GOOD

    async with asking(script) as (client, model):
        for _ in range(2):
            assert (await client.complete(PROMPT, SCHEMA, deadline_seconds=30)).text == GOOD
    assert [ask.body["messages"] for ask in model.asked[1:]] == [
        [{"role": "user", "content": "You decide.\n\nA payment of 20 EUR."}]
    ] * 2
    assert formats(model) == ["json_schema"] * 3


async def test_learning_the_dialect_takes_no_attempt_and_no_failure() -> None:
    async with asking(refuses("response_format"), attempts=1, circuit_failures=1) as (client, _):
        assert (await client.complete(PROMPT, SCHEMA, deadline_seconds=30)).text == GOOD


async def test_new_hosted_models_want_their_own_parameters() -> None:
    def script(ask: Any) -> Any:
        if "max_tokens" in ask.body:
            return Refuse(status=400, message="Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'.")
        if "temperature" in ask.body:
            return Refuse(status=400, message="Unsupported value: 'temperature' does not support 0.")
        return GOOD

    async with asking(script) as (client, model):
        await client.complete(PROMPT, SCHEMA, deadline_seconds=30)
    assert model.asked[-1].body["max_completion_tokens"] == 1024
    assert model.asked[-1].body["response_format"]["type"] == "json_schema"


async def test_a_server_that_refuses_whatever_is_asked_is_given_up() -> None:
    message = "response_format temperature max_completion_tokens role"
    async with asking(Refuse(status=400, message=message)) as (client, model):
        assert (await refused(client)).reason == "bad_request"
        assert len(model.asked) == 6


async def test_requests_that_fail_together_simplify_the_dialect_only_once() -> None:
    async with asking(refuses("json_schema")) as (client, model):
        await asyncio.gather(*(client.complete(PROMPT, SCHEMA, deadline_seconds=30) for _ in range(8)))
        await client.complete(PROMPT, SCHEMA, deadline_seconds=30)
    assert model.asked[-1].body["response_format"] == {"type": "json_object"}


async def test_after_failures_in_a_row_the_server_is_not_asked() -> None:
    async with asking(Misbehave(how="server_error"), circuit_failures=3, circuit_open_seconds=600) as (client, model):
        assert (await refused(client)).reason == "server_error"
        assert (await refused(client)).reason == "circuit_open"
        assert len(model.asked) == 3


async def test_an_opening_circuit_ends_the_retries_with_what_opened_it() -> None:
    async with asking(Misbehave(how="cut"), circuit_failures=1, circuit_open_seconds=600) as (client, model):
        assert (await refused(client)).reason == "connection"
        assert len(model.asked) == 1


async def test_a_success_forgets_the_failures_before() -> None:
    script = one_after_another(*(Misbehave(how="server_error"), GOOD) * 3, GOOD)
    async with asking(script, circuit_failures=2, circuit_open_seconds=600) as (client, _):
        for _ in range(3):
            assert (await client.complete(PROMPT, SCHEMA, deadline_seconds=30)).text == GOOD


@pytest.mark.parametrize("how", ["refusal", "too_long"])
async def test_a_server_that_answers_what_nobody_can_use_still_works(how: str) -> None:
    async with asking(Misbehave(how=how), circuit_failures=1, circuit_open_seconds=600) as (client, model):
        await refused(client)
        assert (await refused(client)).reason != "circuit_open"
        assert len(model.asked) == 2


async def test_one_probe_at_a_time_asks_a_server_that_failed_and_closes_the_circuit() -> None:
    script = one_after_another(Misbehave(how="server_error"), Say(text=GOOD, after_seconds=0.3), GOOD)
    async with asking(script, attempts=1, circuit_failures=1, circuit_open_seconds=0.05) as (client, model):
        await refused(client)
        await asyncio.sleep(0.1)
        probe = asyncio.create_task(client.complete(PROMPT, SCHEMA, deadline_seconds=30))
        await model.arrived(2)
        assert (await refused(client)).reason == "circuit_open"
        assert (await probe).text == GOOD
        assert (await client.complete(PROMPT, SCHEMA, deadline_seconds=30)).text == GOOD
    assert len(model.asked) == 3


async def test_a_probe_that_fails_opens_the_circuit_again() -> None:
    limits: dict[str, Any] = {"attempts": 1, "circuit_failures": 3, "circuit_open_seconds": 0.3}
    async with asking(Misbehave(how="server_error"), **limits) as (client, model):
        for _ in range(3):
            await refused(client)
        await asyncio.sleep(0.4)
        assert (await refused(client)).reason == "server_error"
        assert (await refused(client)).reason == "circuit_open"
        assert len(model.asked) == 4


async def test_a_probe_that_is_cancelled_lets_another_one_through() -> None:
    script = one_after_another(Misbehave(how="server_error"), Misbehave(how="never_answers"), GOOD)
    async with asking(script, attempts=1, circuit_failures=1, circuit_open_seconds=0.05) as (client, model):
        await refused(client)
        await asyncio.sleep(0.1)
        probe = asyncio.create_task(client.complete(PROMPT, SCHEMA, deadline_seconds=30))
        await model.arrived(2)
        probe.cancel()
        await asyncio.gather(probe, return_exceptions=True)
        assert (await client.complete(PROMPT, SCHEMA, deadline_seconds=30)).text == GOOD


async def test_a_success_of_a_request_from_before_does_not_close_the_circuit() -> None:
    script = one_after_another(Say(text=GOOD, after_seconds=0.3), Misbehave(how="server_error"))
    async with asking(script, circuit_failures=1, circuit_open_seconds=600) as (client, model):
        early = asyncio.create_task(client.complete(PROMPT, SCHEMA, deadline_seconds=30))
        await model.arrived(1)
        await refused(client)
        assert (await early).text == GOOD
        assert (await refused(client)).reason == "circuit_open"


async def test_an_open_circuit_is_told_without_waiting_for_a_place() -> None:
    silent = Misbehave(how="never_answers")
    script = one_after_another(Misbehave(how="server_error"), silent, silent)
    limits: dict[str, Any] = {"attempts": 1, "concurrency": 1, "circuit_failures": 1, "circuit_open_seconds": 0.05}
    async with asking(script, attempt_seconds=600, **limits) as (client, model):
        await refused(client)
        await asyncio.sleep(0.1)
        probe = asyncio.create_task(client.complete(PROMPT, SCHEMA, deadline_seconds=600))
        await model.arrived(2)
        assert (await refused(client, deadline_seconds=1)).reason == "circuit_open"
        probe.cancel()
        await asyncio.gather(probe, return_exceptions=True)


async def test_no_more_requests_than_places_are_out_at_a_time() -> None:
    async with asking(Say(text=GOOD, after_seconds=0.05), concurrency=3) as (client, model):
        await asyncio.gather(*(client.complete(PROMPT, SCHEMA, deadline_seconds=30) for _ in range(9)))
    assert model.most_in_flight == 3


async def test_waiting_for_a_place_counts_and_is_not_the_servers_fault() -> None:
    script = one_after_another(Say(text=GOOD, after_seconds=1.0), GOOD)
    async with asking(script, concurrency=1, circuit_failures=1) as (client, model):
        holder = asyncio.create_task(client.complete(PROMPT, SCHEMA, deadline_seconds=30))
        await model.arrived(1)
        assert (await refused(client, deadline_seconds=0.2)).reason == "busy"
        assert (await holder).text == GOOD
        assert (await client.complete(PROMPT, SCHEMA, deadline_seconds=30)).text == GOOD
        assert len(model.asked) == 2


async def test_when_enough_wait_for_a_place_nobody_else_does() -> None:
    script = one_after_another(Misbehave(how="never_answers"), GOOD)
    async with asking(script, concurrency=1, queue=1) as (client, model):
        holder = asyncio.create_task(client.complete(PROMPT, SCHEMA, deadline_seconds=30))
        await model.arrived(1)
        waiting = asyncio.create_task(client.complete(PROMPT, SCHEMA, deadline_seconds=30))
        await asyncio.sleep(0)
        with pytest.raises(BrainUnavailable, match="too many wait") as raised:
            client.check()
        assert raised.value.reason == "busy"
        assert (await refused(client)).reason == "busy"
        holder.cancel()
        assert (await waiting).text == GOOD
        client.check()
        await asyncio.gather(holder, return_exceptions=True)


async def test_clients_of_several_models_share_their_places() -> None:
    places = Places(concurrency=1, queue=0)
    async with ScriptedModel(lambda _: Misbehave(how="never_answers")) as model:
        one, other = (ChatClient(Server(url=model.url, model=name), Limits(), places) for name in ("one", "other"))
        holder = asyncio.create_task(one.complete(PROMPT, SCHEMA, deadline_seconds=30))
        await model.arrived(1)
        assert (await refused(other)).reason == "busy"
        holder.cancel()
        await asyncio.gather(holder, return_exceptions=True)
        await one.close()
        await other.close()


@pytest.mark.parametrize(
    ("how", "unanswered"),
    [
        *[("timeout", 2), ("cut", 2), ("malformed", 2)],
        *[("refusal", 1), ("too_long", 1), ("rate_limited", 0), ("server_error", 0)],
    ],
)
async def test_attempts_the_server_may_have_counted_are_counted(how: str, unanswered: int) -> None:
    misbehave = Misbehave(how=how, retry_after="0")
    async with asking(misbehave, attempts=2, attempt_seconds=0.3) as (client, _):
        assert (await refused(client)).unanswered == unanswered


async def test_a_server_that_is_not_there_counts_nothing() -> None:
    async with asking(GOOD, attempts=2) as (client, model):
        await model.stop()
        assert (await refused(client)).unanswered == 0


async def test_a_reply_brings_the_attempts_before_it() -> None:
    async with asking(first(2, Misbehave(how="malformed"), then=GOOD)) as (client, _):
        assert (await client.complete(PROMPT, SCHEMA, deadline_seconds=30)).unanswered == 2


async def test_a_request_that_is_cancelled_gives_its_place_back() -> None:
    script = first(1, Misbehave(how="never_answers"), then=GOOD)
    async with asking(script, concurrency=1) as (client, model):
        lost = asyncio.create_task(client.complete(PROMPT, SCHEMA, deadline_seconds=30))
        await model.arrived(1)
        lost.cancel()
        with pytest.raises(asyncio.CancelledError):
            await lost
        assert (await client.complete(PROMPT, SCHEMA, deadline_seconds=30)).text == GOOD


async def test_the_key_is_in_the_header_and_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with asking(Misbehave(how="server_error"), api_key="s3cret-key") as (client, model):
        error = await refused(client)
        shown = [repr(client), repr(vars(client)), *map(str, model.asked), "".join(traceback.format_exception(error))]
    assert model.asked[0].headers["Authorization"] == "Bearer s3cret-key"
    assert "s3cret-key" not in str(model.asked[0].body)
    assert all("s3cret-key" not in text for text in [*shown, caplog.text])


async def test_without_a_key_none_is_sent() -> None:
    async with asking(GOOD) as (client, model):
        await client.complete(PROMPT, SCHEMA, deadline_seconds=30)
    assert "Authorization" not in model.asked[0].headers


@pytest.mark.parametrize("how", ["refusal", "too_long", "malformed", "cut"])
async def test_an_error_shows_nothing_that_the_server_wrote(how: str) -> None:
    async with asking(Misbehave(how=how)) as (client, _):
        shown = "".join(traceback.format_exception(await refused(client)))
    for written in ("sorry", "approve", "It works", "chatcmpl"):
        assert written not in shown


@pytest.mark.parametrize(
    "url", ["", "ftp://host/v1", "http://", "http://user:s3cret@host/v1", "http://host/v1?key=s3cret", "http://h:x/v1"]
)
def test_a_url_that_cannot_be_used_or_holds_a_secret_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="URL") as raised:
        Server(url=url, model="tiny")
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("key", ["s3cret\n", "s3cret\u00e9"])
def test_a_key_that_no_header_can_hold_is_refused_without_repeating_it(key: str) -> None:
    with pytest.raises(ValueError, match="API key") as raised:
        Server(url="http://127.0.0.1/v1", model="tiny", api_key=SecretStr(key))
    assert "s3cret" not in str(raised.value)


def test_an_attempt_begins_only_with_half_its_time_left() -> None:
    limits = Limits(attempt_seconds=10)
    assert limits.least_seconds(30) == 5
    assert limits.least_seconds(4) == 2


def test_the_reasons_are_a_closed_set() -> None:
    assert {str(reason) for reason in Unavailable} == {
        "timeout",
        "busy",
        "rate_limited",
        "server_error",
        "connection",
        "malformed",
        "bad_request",
        "refused",
        "too_long",
        "circuit_open",
        "budget_spent",
    }
