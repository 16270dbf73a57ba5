"""A question that another worker answers, asked of it as whoever asked this one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, make_mocked_request
from yarl import URL

from app.sandbox.process import free_port
from app.views.forwarding import FORWARDED, forwarded


@pytest.fixture
async def other() -> AsyncIterator[URL]:
    async def answer(request: web.Request) -> web.Response:
        seen = {name: request.headers.get(name) for name in ("Authorization", "Cookie", "X-Other", FORWARDED)}
        return web.json_response({"asked": request.raw_path, **seen}, headers={"Cache-Control": "no-store"})

    async def lead_away(_: web.Request) -> web.Response:
        return web.Response(status=303, headers={"Location": "http://127.0.0.1:1/"})

    app = web.Application()
    app.router.add_get("/agents/{rest:.+}", answer)
    app.router.add_get("/away", lead_away)
    async with TestServer(app) as server:
        yield server.make_url("/")


async def test_the_same_is_asked_by_the_same_person(other: URL) -> None:
    headers = {"Authorization": "Bearer anna", "Cookie": "c=1", "X-Other": "no"}

    answer = await forwarded(make_mocked_request("GET", "/agents/a/windows/c%2F1%20%C3%BC?x=a%26b", headers), other)

    assert isinstance(answer.body, bytes)
    assert (answer.status, answer.content_type) == (200, "application/json")
    assert answer.headers["Cache-Control"] == "no-store"
    assert b'"asked": "/agents/a/windows/c%2F1%20%C3%BC?x=a%26b"' in answer.body
    assert b'"Authorization": "Bearer anna", "Cookie": "c=1", "X-Other": null' in answer.body
    assert f'"{FORWARDED}": "1"'.encode() in answer.body


async def test_nobody_is_led_on_from_there(other: URL) -> None:
    assert (await forwarded(make_mocked_request("GET", "/away"), other)).status == 303


async def test_a_worker_that_does_not_answer_is_502() -> None:
    with pytest.raises(web.HTTPBadGateway):
        await forwarded(make_mocked_request("GET", "/x"), URL(f"http://127.0.0.1:{free_port()}/"))
