"""The chat completion around a reply: only what a reply cannot be without is asked of it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from agents.brains.envelope import Reply, open_envelope
from agents.model.errors import BrainUnavailable

GOOD = '{"outcome": "approve"}'


def opened(message: dict[str, Any], **beside: Any) -> Reply:
    choice = {"message": message, "finish_reason": "stop"} | beside.pop("choice", {})
    body = orjson.dumps({"choices": [choice]} | beside)
    return open_envelope(body, asked_model="asked", latency_seconds=1.0)


def reason(message: dict[str, Any], **beside: Any) -> str:
    with pytest.raises(BrainUnavailable) as raised:
        opened(message, **beside)
    return str(raised.value.reason)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        "12",
        7,
        {},
        {"prompt_tokens": "12", "completion_tokens": None},
        {"prompt_tokens": -1, "completion_tokens": 2**31},
        {"prompt_tokens": 12.5, "completion_tokens": True},
        {"prompt_tokens": {"text": 1}, "completion_tokens": [1]},
    ],
)
def test_a_usage_that_is_missing_or_odd_is_not_believed_and_costs_no_reply(usage: Any) -> None:
    reply = opened({"content": GOOD}, usage=usage)
    assert (reply.text, reply.prompt_tokens, reply.completion_tokens) == (GOOD, None, None)


def test_what_can_be_believed_of_a_usage_is() -> None:
    reply = opened({"content": GOOD}, usage={"prompt_tokens": 12, "completion_tokens": "x", "details": {"a": 1}})
    assert (reply.prompt_tokens, reply.completion_tokens) == (12, None)


@pytest.mark.parametrize(
    "beside", [{"model": 7}, {"model": None}, {"choice": {"finish_reason": 3}}, {"choice": {"index": "0"}}]
)
def test_what_is_odd_beside_a_reply_costs_none(beside: dict[str, Any]) -> None:
    reply = opened({"content": GOOD, "refusal": None, "tool_calls": []}, **beside)
    assert (reply.text, reply.model) == (GOOD, "asked")


def test_thoughts_beside_the_content_are_no_answer() -> None:
    thinking = {"reasoning_content": '{"outcome": "block"}', "reasoning": "hm"}
    assert opened({"content": GOOD, **thinking}).text == GOOD


@pytest.mark.parametrize("content", [None, "", "\n"])
@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_an_answer_that_a_server_took_for_thoughts_is_found_when_it_is_all_there_is(content: Any, name: str) -> None:
    assert opened({"content": content, name: f"\n{GOOD} "}).text == GOOD


def test_an_object_among_thoughts_is_no_answer() -> None:
    assert opened({"content": "", "reasoning_content": f"I could say {GOOD} or not."}).text == ""


def test_a_content_of_parts_is_their_text_without_the_thoughts() -> None:
    parts = [{"type": "thinking", "text": '{"outcome": "block"}'}, 7, {"type": "text", "text": GOOD}, {"type": "text"}]
    assert opened({"content": parts}).text == GOOD


@pytest.mark.parametrize("message", [{}, {"content": None}, {"content": 7}, {"content": {"text": GOOD}}])
def test_without_content_there_is_no_reply(message: dict[str, Any]) -> None:
    assert reason(message) == "malformed"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b'{"choices": []}', b'{"choices": [{}]}', b"\xff", b"{" * 10_000]
)
def test_what_is_no_chat_completion_is_malformed(body: bytes) -> None:
    with pytest.raises(BrainUnavailable) as raised:
        open_envelope(body, asked_model="asked", latency_seconds=1.0)
    assert raised.value.reason == "malformed"


def test_a_refusal_or_a_cut_answer_is_told_apart() -> None:
    assert reason({"content": GOOD, "refusal": "no"}) == "refused"
    assert reason({"content": GOOD}, choice={"finish_reason": "content_filter"}) == "refused"
    assert reason({"content": GOOD}, choice={"finish_reason": "length"}) == "too_long"
