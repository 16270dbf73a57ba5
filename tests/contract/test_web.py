"""What every HTTP request passes: who may ask, and what an error looks like."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from app.settings import Settings
from app.web import middlewares

TOKEN = "let-me-in"


def guarded(**values: Any) -> web.Application:
    """One page for everybody, behind the middlewares."""

    async def page(_: web.Request) -> web.Response:
        return web.json_response({"ok": True})

    async def broken(_: web.Request) -> web.Response:
        raise ZeroDivisionError("secret detail")

    application = web.Application(middlewares=middlewares(Settings(_env_file=None, **values)))
    for path in ("/page", "/health/ready"):
        application.router.add_route("*", path, page)
    application.router.add_get("/broken", broken)
    return application


@pytest.mark.parametrize(
    ("bind", "has_token", "method", "path", "given", "status"),
    [
        # Without a token set, loopback is open to this machine.
        ("127.0.0.1", False, "GET", "/page", None, 200),
        # With one, what changes something asks for it, and reads do not.
        ("127.0.0.1", True, "GET", "/page", None, 200),
        ("127.0.0.1", True, "POST", "/page", None, 401),
        ("127.0.0.1", True, "DELETE", "/page", None, 401),
        ("127.0.0.1", True, "POST", "/page", f"Bearer {TOKEN}", 200),
        # Off loopback reads ask for it too.
        ("0.0.0.0", True, "GET", "/page", None, 401),
        ("0.0.0.0", True, "HEAD", "/page", None, 401),
        ("0.0.0.0", True, "GET", "/page", f"Bearer {TOKEN}", 200),
        ("0.0.0.0", True, "GET", "/not-there", None, 401),
        ("0.0.0.0", True, "GET", "/health/ready", None, 200),
        # Nothing but the whole token will do.
        ("0.0.0.0", True, "GET", "/page", "Bearer let-me-i", 401),
        ("0.0.0.0", True, "GET", "/page", "Bearer let-me-in2", 401),
        ("0.0.0.0", True, "GET", "/page", "Bearer ", 401),
        ("0.0.0.0", True, "GET", "/page", TOKEN, 401),
        ("0.0.0.0", True, "GET", "/page", f"Basic {TOKEN}", 401),
        ("0.0.0.0", True, "GET", "/page", "Bearer größer", 401),
    ],
)
async def test_who_may_ask(bind: str, has_token: bool, method: str, path: str, given: str | None, status: int) -> None:
    headers = {} if given is None else {"Authorization": given}
    app = guarded(web_bind=bind, api_token=TOKEN if has_token else None)
    async with TestClient(TestServer(app)) as client, client.request(method, path, headers=headers) as response:
        assert response.status == status


@pytest.mark.parametrize(
    ("path", "status", "error"), [("/not-there", 404, "Not Found"), ("/broken", 500, "internal error")]
)
async def test_errors_are_json_and_tell_nothing_of_the_inside(path: str, status: int, error: str) -> None:
    async with TestClient(TestServer(guarded())) as client, client.get(path) as response:
        assert (response.status, await response.json()) == (status, {"error": error})


async def test_a_refusal_says_how_to_come_in() -> None:
    async with TestClient(TestServer(guarded(api_token=TOKEN))) as client, client.post("/page") as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("bind", "host", "status"),
    [
        ("127.0.0.1", "127.0.0.1:6066", 200),
        ("127.0.0.1", "localhost:6066", 200),
        ("localhost", "[::1]:6066", 200),
        ("127.0.0.1", "evil.example:6066", 403),
        ("127.0.0.1", "127.0.0.1.evil.example", 403),
        ("127.0.0.1", "10.0.0.1", 403),
        ("0.0.0.0", "innervate.example", 200),
    ],
)
async def test_loopback_answers_to_its_own_names_only(bind: str, host: str, status: int) -> None:
    app = guarded(web_bind=bind, api_token=TOKEN)
    headers = {"Host": host, "Authorization": f"Bearer {TOKEN}"}
    async with TestClient(TestServer(app)) as client, client.get("/page", headers=headers) as response:
        assert response.status == status
