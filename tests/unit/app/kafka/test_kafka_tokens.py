"""Tokens for Kafka: one for all clients, renewed before it ends; what goes wrong is bounded and says no secret."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Sequence
from urllib.parse import parse_qs

import httpx
import orjson
import pytest
from aiokafka.errors import KafkaError
from pydantic import SecretStr

from app.kafka.tokens import ClientCredentials, TokenProvider, TokenUnavailable

URL = "https://identity.example/token"
Answer = httpx.Response | Exception


class Clock:
    """Goes on when it is told to, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Endpoint(httpx.AsyncBaseTransport):
    """Answers in turn; the last one for ever."""

    def __init__(self, *answers: Answer | Callable[[], Answer]) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer) and not isinstance(answer, httpx.Response):
            answer = answer()
        if isinstance(answer, Exception):
            raise answer
        return answer


def granted(token: str, **fields: object) -> Callable[[], httpx.Response]:
    content = {"access_token": token, "token_type": "Bearer", "expires_in": 100, **fields}
    return lambda: httpx.Response(200, json=content)


def provider(
    endpoint: Endpoint,
    clock: Clock | None = None,
    *,
    client_id: str = "worker",
    client_secret: str = "pst:x",
    scope: str = "",
) -> TokenProvider:
    login = ClientCredentials(url=URL, client_id=client_id, client_secret=SecretStr(client_secret), scope=scope)
    return TokenProvider(login, transport=endpoint, clock=clock or Clock())


async def test_the_client_is_named_by_its_id_and_secret_each_encoded() -> None:
    endpoint = Endpoint(granted("one"))

    assert await provider(endpoint, client_id="a:b", client_secret="c d%", scope="kafka write").token() == "one"

    [request] = endpoint.requests
    assert (request.method, str(request.url)) == ("POST", URL)
    sent = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
    assert sent == "a%3Ab:c+d%25"
    assert parse_qs(request.content.decode()) == {"grant_type": ["client_credentials"], "scope": ["kafka write"]}


async def test_clients_that_connect_together_share_one_token() -> None:
    endpoint = Endpoint(granted("one"))
    tokens = provider(endpoint)

    assert await asyncio.gather(*(tokens.token() for _ in range(20))) == ["one"] * 20
    assert len(endpoint.requests) == 1


def test_clients_of_several_event_loops_share_it_too() -> None:
    endpoint = Endpoint(granted("one"), granted("two"))
    tokens = provider(endpoint)

    assert [asyncio.run(tokens.token()) for _ in range(3)] == ["one"] * 3
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(("after", "expected"), [(79.9, "one"), (80.1, "two")])
async def test_a_token_is_renewed_when_a_fifth_of_its_life_is_left(after: float, expected: str) -> None:
    clock = Clock()
    tokens = provider(Endpoint(granted("one"), granted("two")), clock)
    await tokens.token()

    clock.now += after

    assert await tokens.token() == expected


@pytest.mark.parametrize("expires_in", [100, 100.0, "100"])
async def test_a_life_may_be_written_as_a_number_or_a_text(expires_in: object) -> None:
    clock = Clock()
    tokens = provider(Endpoint(granted("one", expires_in=expires_in), granted("two")), clock)
    await tokens.token()
    clock.now += 79
    assert await tokens.token() == "one"
    clock.now += 2
    assert await tokens.token() == "two"


async def test_a_token_whose_life_is_not_said_is_renewed_within_minutes() -> None:
    clock = Clock()
    endpoint = Endpoint(
        lambda: httpx.Response(200, json={"access_token": "one", "token_type": "bearer"}), granted("two")
    )
    tokens = provider(endpoint, clock)
    assert await tokens.token() == "one"
    clock.now += 241
    assert await tokens.token() == "two"


async def test_a_token_is_used_to_its_end_while_no_new_one_can_be_had() -> None:
    clock = Clock()
    tokens = provider(Endpoint(granted("one"), lambda: httpx.Response(503)), clock)
    await tokens.token()

    clock.now += 99
    assert await tokens.token() == "one"

    clock.now += 2
    with pytest.raises(TokenUnavailable, match="503"):
        await tokens.token()


@pytest.mark.parametrize("passing", [httpx.ConnectError("refused"), httpx.Response(503), httpx.Response(429)])
async def test_an_endpoint_that_is_away_for_a_moment_is_asked_again_at_once(passing: Answer) -> None:
    endpoint = Endpoint(passing, granted("one"))

    assert await provider(endpoint).token() == "one"
    assert len(endpoint.requests) == 2


async def test_one_that_stays_away_is_asked_three_times_and_then_left_alone_for_a_second() -> None:
    clock = Clock()
    endpoint = Endpoint(lambda: httpx.ConnectError("refused"))
    tokens = provider(endpoint, clock)

    for _ in range(5):
        with pytest.raises(TokenUnavailable, match=f"no token for Kafka from {URL}: ConnectError: refused"):
            await tokens.token()
    assert len(endpoint.requests) == 3

    clock.now += 1.1
    endpoint.answers = [granted("one")]
    assert await tokens.token() == "one"


async def test_a_client_that_is_refused_is_not_tried_again_and_the_code_is_told() -> None:
    refused = httpx.Response(401, json={"error": "invalid_client", "error_description": "the secret pst:x is wrong"})
    endpoint = Endpoint(refused)

    with pytest.raises(TokenUnavailable) as told:
        await provider(endpoint).token()

    assert str(told.value) == f"no token for Kafka from {URL}: 401 invalid_client"
    assert len(endpoint.requests) == 1


async def test_aiokafka_connects_again_after_a_failure() -> None:
    """It does so after its own errors alone; any other would end the client's task."""
    with pytest.raises(KafkaError):
        await provider(Endpoint(lambda: httpx.ConnectError("refused"))).token()


class Silent(httpx.AsyncBaseTransport):
    """Takes the request and never answers."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError(request)


async def test_an_endpoint_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.kafka.tokens.FETCH_SECONDS", 0.05)
    login = ClientCredentials(url=URL, client_id="worker", client_secret=SecretStr("pst"))

    with pytest.raises(TokenUnavailable, match="no answer in time"):
        await TokenProvider(login, transport=Silent()).token()


def answers_that_are_none() -> Sequence[bytes]:
    usable = {"access_token": "one", "token_type": "Bearer", "expires_in": 100}
    wrong = [
        [],
        {**usable, "access_token": ""},
        {**usable, "access_token": 7},
        {**usable, "access_token": "one\x01auth=other"},
        {**usable, "access_token": "ö"},
        {**usable, "token_type": "mac"},
        {**usable, "token_type": None},
        {**usable, "expires_in": 0},
        {**usable, "expires_in": -5},
        {**usable, "expires_in": True},
        {**usable, "expires_in": "soon"},
        {**usable, "expires_in": "nan"},
        {**usable, "expires_in": "inf"},
        {**usable, "expires_in": [100]},
    ]
    return [b"", b"\xff\xfe", b"<html>", b"{" + b" " * 300_000 + b"}", *map(orjson.dumps, wrong)]


@pytest.mark.parametrize("body", answers_that_are_none(), ids=lambda body: body[:60].decode(errors="replace"))
async def test_an_answer_that_is_no_token_is_refused_and_not_quoted(body: bytes) -> None:
    with pytest.raises(TokenUnavailable) as told:
        await provider(Endpoint(httpx.Response(200, content=body))).token()
    assert str(told.value).startswith(f"no token for Kafka from {URL}: ")
    assert "\x01" not in str(told.value)


async def test_a_redirect_is_not_followed_with_the_secret() -> None:
    endpoint = Endpoint(httpx.Response(307, headers={"location": "https://elsewhere.example/"}))
    with pytest.raises(TokenUnavailable, match="307"):
        await provider(endpoint).token()
    assert len(endpoint.requests) == 1
