"""What every HTTP request passes: who may ask, and what an error looks like."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from problems import problem

from app.settings import Settings
from app.web.admission import Access
from app.web.connections import Connections, Limits
from app.web.middleware import MAX_BODY_BYTES, middlewares
from app.web.sessions import Sessions

TOKEN = "let-me-in"


async def no_secret() -> bytes:
    raise AssertionError("nobody has a session here")


def passed(
    connections: Connections, access: Access | None = None, parameters: Mapping[str, Collection[str]] | None = None
) -> Any:
    """The middlewares, for paths that say nothing of roles."""
    access = access or Access()
    sessions = Sessions(access.tokens, no_secret)
    return middlewares(access, sessions, connections, parameters=parameters or {}, required={})


def guarded(*, is_private: bool | None = True, **values: Any) -> web.Application:
    """One page for everybody, behind the middlewares; `is_private` is what the server says of its sockets."""

    async def page(_: web.Request) -> web.Response:
        return web.json_response({"ok": True})

    async def broken(_: web.Request) -> web.Response:
        raise ZeroDivisionError("secret detail")

    connections = Connections(Limits())
    connections.is_private = is_private
    access = Settings(_env_file=None, **values).access
    guards = passed(connections, access, {"/page": ("colour", "size")})
    application = web.Application(middlewares=guards, client_max_size=MAX_BODY_BYTES)
    for path in ("/page", "/health/ready"):
        application.router.add_route("*", path, page)
    application.router.add_get("/broken", broken)
    return application


@pytest.mark.parametrize(
    ("is_private", "has_token", "method", "path", "given", "status"),
    [
        # Without a token set, what this machine alone can reach is open to it.
        (True, False, "GET", "/page", None, 200),
        (True, False, "POST", "/page", None, 200),
        # With one, what changes something asks for it, and reads do not.
        (True, True, "GET", "/page", None, 200),
        (True, True, "POST", "/page", None, 401),
        (True, True, "DELETE", "/page", None, 401),
        (True, True, "POST", "/page", f"Bearer {TOKEN}", 200),
        # What more can reach asks for it on reads too.
        (False, True, "GET", "/page", None, 401),
        (False, True, "HEAD", "/page", None, 401),
        (False, True, "GET", "/page", f"Bearer {TOKEN}", 200),
        (False, True, "GET", "/not-there", None, 401),
        (False, True, "GET", "/health/ready", None, 200),
        # It gives nothing where there is no token to ask for.
        (False, False, "GET", "/page", None, 401),
        (False, False, "GET", "/page", "Bearer ", 401),
        (False, False, "GET", "/health/ready", None, 200),
        # A server that does not say is judged by the connection, which comes from this machine.
        (None, False, "GET", "/page", None, 200),
        # Nothing but the whole token will do.
        (False, True, "GET", "/page", "Bearer let-me-i", 401),
        (False, True, "GET", "/page", "Bearer let-me-in2", 401),
        (False, True, "GET", "/page", "Bearer ", 401),
        (False, True, "GET", "/page", TOKEN, 401),
        (False, True, "GET", "/page", f"Basic {TOKEN}", 401),
        (False, True, "GET", "/page", "Bearer größer", 401),
        (False, True, "GET", "/page", "Bearer \udcff", 401),
    ],
)
async def test_who_may_ask(
    is_private: bool | None, has_token: bool, method: str, path: str, given: str | None, status: int
) -> None:
    headers = {"Host": "localhost", "Content-Type": "application/json"}
    headers |= {} if given is None else {"Authorization": given}
    app = guarded(is_private=is_private, api_token=TOKEN if has_token else None)
    async with TestClient(TestServer(app)) as client, client.request(method, path, headers=headers) as response:
        assert response.status == status


@pytest.mark.parametrize(
    ("path", "status", "error"), [("/not-there", 404, "Not Found"), ("/broken", 500, "internal error")]
)
async def test_errors_are_json_and_tell_nothing_of_the_inside(path: str, status: int, error: str) -> None:
    async with TestClient(TestServer(guarded())) as client, client.get(path) as response:
        assert (response.status, await response.json()) == (status, problem(status, error))


async def test_a_refusal_says_how_to_come_in() -> None:
    async with TestClient(TestServer(guarded(api_token=TOKEN))) as client, client.post("/page") as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("is_private", "host", "status"),
    [
        (True, "127.0.0.1:6066", 200),
        (True, "localhost:6066", 200),
        (True, "LocalHost", 200),
        (True, "[::1]:6066", 200),
        (True, "evil.example:6066", 403),
        (True, "127.0.0.1.evil.example", 403),
        (True, "10.0.0.1", 403),
        (True, "127.1", 403),
        (True, "0.0.0.0", 403),
        (False, "innervate.example", 200),
    ],
)
async def test_what_this_machine_alone_can_reach_answers_to_its_own_names_only(
    is_private: bool, host: str, status: int
) -> None:
    app = guarded(is_private=is_private, api_token=TOKEN)
    headers = {"Host": host, "Authorization": f"Bearer {TOKEN}"}
    async with TestClient(TestServer(app)) as client, client.get("/page", headers=headers) as response:
        assert response.status == status


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("color=red", "no parameter color: there are colour, size"),
        ("colour=red&x=1", "no parameter x: there are colour, size"),
        ("%E3%85%A4=1", r"no parameter \u3164: there are colour, size"),
        ("colour=red&colour=blue", "parameter colour is given twice"),
    ],
)
async def test_a_parameter_that_is_not_known_is_refused_with_those_there_are(query: str, error: str) -> None:
    async with TestClient(TestServer(guarded())) as client, client.get(f"/page?{query}") as response:
        assert (response.status, await response.json()) == (400, problem(400, error))


async def test_known_parameters_are_taken_and_paths_that_declare_none_take_none() -> None:
    async with TestClient(TestServer(guarded())) as client:
        for path, status in (("/page?colour=red&size=", 200), ("/health/ready?colour=red", 400)):
            async with client.get(path) as response:
                assert response.status == status


async def test_a_body_that_is_larger_than_any_answer_is_refused() -> None:
    async with TestClient(TestServer(guarded())) as client:
        for size, status in ((MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413)):
            headers = {"Content-Type": "application/json"}
            async with client.post("/page", data=b"x" * size, headers=headers) as response:
                assert response.status == status


async def test_beyond_so_many_requests_at_work_others_are_refused_at_once_but_for_health() -> None:
    connections, arrived, release = Connections(Limits(requests=1)), asyncio.Event(), asyncio.Event()

    async def page(request: web.Request) -> web.Response:
        if "wait" in request.query:
            arrived.set()
            await release.wait()
        return web.json_response({"ok": True})

    app = web.Application(middlewares=passed(connections, parameters={"/page": ("wait",)}))
    for path in ("/page", "/health/ready"):
        app.router.add_get(path, page)
    async with TestClient(TestServer(app)) as client:
        waiting = asyncio.create_task(client.get("/page?wait"))
        async with asyncio.timeout(30):
            await arrived.wait()
        async with client.get("/page") as refused, client.get("/health/ready") as health:
            assert (refused.status, refused.headers["Retry-After"], health.status) == (503, "1", 200)
        release.set()
        assert (await waiting).status == 200
        async with client.get("/page") as again:
            assert again.status == 200


async def test_a_request_that_takes_too_long_ends() -> None:
    async def page(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    app = web.Application(middlewares=passed(Connections(Limits(work_seconds=0.01))))
    app.router.add_get("/page", page)
    async with TestClient(TestServer(app)) as client, client.get("/page") as response:
        assert (response.status, await response.json()) == (504, problem(504, "this took too long"))
