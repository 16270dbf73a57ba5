"""Sessions: what a cookie opens, for how long, and what ends it."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from aiohttp import web
from asking import request_from

from app.web.callers import Caller, Role, set_caller
from app.web.sessions import (
    CSRF_HEADER,
    PLAIN_COOKIE,
    SECURE_COOKIE,
    SESSION_SECONDS,
    Session,
    Sessions,
    place_of,
    set_session,
)
from app.web.tokens import Token, shared_token

NOW = 1_800_000_000.0
HERE = ("127.0.0.1", 50_000)
ANNA = Token(name="anna", role=Role.APPROVE, sha256=hashlib.sha256(b"annas").digest())
BERT = Token(name="bert", role=Role.READ, sha256=hashlib.sha256(b"berts").digest())
SHARED = shared_token("let-me-in")
DATABASES_SECRET = b"s" * 32


def sessions(*tokens: Token, at: float = NOW, secret: bytes = DATABASES_SECRET) -> Sessions:
    async def read_secret() -> bytes:
        return secret

    return Sessions(tokens, read_secret, now=lambda: at)


def with_cookie(value: str, name: str = PLAIN_COOKIE, *headers: tuple[str, str]) -> web.Request:
    return request_from(HERE, ("Cookie", f"{name}={value}"), *headers)


async def opened(secret: str = "annas") -> Session:
    session = await sessions(ANNA, BERT, SHARED).open(secret)
    assert session is not None
    return session


@pytest.mark.parametrize(
    ("secret", "caller"),
    [
        ("annas", Caller(name="anna", role=Role.APPROVE, known_by="token")),
        ("berts", Caller(name="bert", role=Role.READ, known_by="token")),
        ("let-me-in", Caller(name=None, role=Role.APPROVE)),
    ],
)
async def test_a_token_opens_a_session_that_every_worker_knows(secret: str, caller: Caller) -> None:
    session = await opened(secret)
    found = await sessions(ANNA, BERT, SHARED).find(with_cookie(session.value))
    assert found == session
    assert found.caller == caller


@pytest.mark.parametrize("secret", ["", "Annas", "annas ", ANNA.sha256.hex()])
async def test_what_is_nobodys_token_opens_none(secret: str) -> None:
    assert await sessions(ANNA, BERT).open(secret) is None


async def test_a_session_ends_after_eight_hours_to_the_second() -> None:
    session = await opened()
    assert await sessions(ANNA, at=NOW + 8 * 3600 - 1).find(with_cookie(session.value)) == session
    assert await sessions(ANNA, at=NOW + SESSION_SECONDS).find(with_cookie(session.value)) is None


async def test_nobody_can_make_it_last_longer() -> None:
    session = await opened()
    session_id, expires, signature = session.value.split(".")
    for value in (
        f"{session_id}.{int(expires) + 1}.{signature}",
        f"{session_id[::-1]}.{expires}.{signature}",
        f"{session_id}.{expires}.{signature[::-1]}",
        f"{session_id}.{expires}.",
        f"{session_id}.{expires}",
        f"{session.value}.{signature}",
        f"{session_id}.{expires}.{session.csrf_token}",
        "",
        "x",
    ):
        assert await sessions(ANNA, BERT, SHARED).find(with_cookie(value)) is None


@pytest.mark.parametrize(
    "tokens",
    [
        (),
        (BERT, SHARED),
        # Another token of hers, another role, another name for it.
        (replace(ANNA, sha256=BERT.sha256),),
        (replace(ANNA, role=Role.OPERATE),),
        (replace(ANNA, name="ann"),),
        (replace(ANNA, name=None),),
    ],
)
async def test_a_session_ends_with_the_token_that_opened_it(tokens: tuple[Token, ...]) -> None:
    session = await opened()
    assert await sessions(*tokens).find(with_cookie(session.value)) is None


async def test_what_happens_to_other_tokens_ends_no_session() -> None:
    session = await opened()
    assert await sessions(replace(BERT, role=Role.APPROVE), ANNA).find(with_cookie(session.value)) == session


async def test_whoever_knows_the_settings_but_not_the_database_can_make_no_session() -> None:
    made = await sessions(ANNA, secret=b"x" * 32).open("annas")
    assert made is not None
    assert await sessions(ANNA).find(with_cookie(made.value)) is None


async def test_each_log_in_is_a_session_of_its_own() -> None:
    one, other = await opened(), await opened()
    assert one.value.split(".")[0] != other.value.split(".")[0]
    assert one.csrf_token != other.csrf_token


async def test_a_cookie_that_anybody_may_set_does_not_take_the_place_of_the_hosts_own() -> None:
    anna, bert = await opened("annas"), await opened("berts")
    both = request_from(HERE, ("Cookie", f"{PLAIN_COOKIE}={bert.value}; {SECURE_COOKIE}={anna.value}"))
    assert await sessions(ANNA, BERT).find(both) == anna
    https = with_cookie(bert.value, PLAIN_COOKIE, ("X-Forwarded-Proto", "https"))
    assert await sessions(ANNA, BERT).find(https) is None


async def test_a_change_has_the_token_of_its_own_session() -> None:
    mine, other = await opened(), await opened()
    for given, is_mine in ((mine.csrf_token, True), (other.csrf_token, False), ("", False)):
        request = request_from(HERE, (CSRF_HEADER, given))
        set_caller(request, mine.caller)
        set_session(request, mine)
        assert await sessions(ANNA).has_csrf_token(request) is is_mine


async def test_without_a_session_a_page_has_a_token_of_its_caller_that_every_worker_knows() -> None:
    callers = [
        Caller(name=None, role=Role.APPROVE),
        Caller(name="ada", role=Role.READ, known_by="proxy"),
        Caller(name="bob", role=Role.READ, known_by="proxy"),
    ]
    made = []
    for caller in callers:
        request = request_from(HERE)
        set_caller(request, caller)
        made.append(await sessions().csrf_token(request))
    assert len(set(made)) == 3
    for caller, token in zip(callers, made, strict=True):
        request = request_from(HERE, (CSRF_HEADER, token))
        set_caller(request, caller)
        assert await sessions().has_csrf_token(request)
        assert not await sessions(secret=b"x" * 32).has_csrf_token(request)


@pytest.mark.parametrize("text", ["/ui/", "/ui/orders/o-17?filter=a%20b#end"])
def test_a_log_in_leads_to_the_place_that_was_asked_for(text: str) -> None:
    assert place_of(text) == text


@pytest.mark.parametrize(
    "text",
    [
        None,
        b"/ui/",
        "",
        "/",
        "/uix",
        "ui/",
        "//evil.example/ui/",
        "https://evil.example/ui/",
        "/ui/\\evil",
        "/ui/\r\nX: y",
        "/ui/é",
    ],
)
def test_a_log_in_leads_nowhere_else(text: object) -> None:
    assert place_of(text) == "/ui/"
