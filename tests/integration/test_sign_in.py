"""Signing in to the page, what it shows of whoever is there, and out again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from pages import Page, require_sound

from app.composition import create_app
from app.settings import Settings

Client = TestClient[Any, Any]
TOKEN = "annas-token"
API_TOKENS = f"anna:read:{hashlib.sha256(TOKEN.encode()).hexdigest()}"
BROWSER = {"Accept": "text/html"}


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[Client]:
    """Asks, from elsewhere, a worker that people have tokens for."""
    settings = Settings(
        _env_file=None,
        kafka_broker="127.0.0.1:1",
        database_url=database_url,
        datadir=tmp_path,
        api_tokens=API_TOKENS,
        read_only=True,
    )
    app = create_app(settings)
    app.connections.is_private = False
    async with TestClient(TestServer(await app.web.wsgi())) as running:
        yield running
    await app.runtime.database.close()


async def opened(client: Client, path: str, status: int = 200) -> Page:
    async with client.get(path, headers=BROWSER, allow_redirects=False) as response:
        assert (response.status, response.content_type) == (status, "text/html")
        found = re.search(r"'nonce-([^']+)'", response.headers["Content-Security-Policy"])
        assert found is not None
        return require_sound(await response.text(), found[1])


async def test_whoever_is_unknown_is_led_to_the_form_and_from_there_to_where_they_wanted(client: Client) -> None:
    async with client.get("/ui/decisions?agent=fraud", headers=BROWSER, allow_redirects=False) as response:
        assert response.status == 303
        form_at = response.headers["Location"]

    form = await opened(client, form_at)
    fields = {str(field.attributes.get("name")): field.attributes.get("value") for field in form.all("input")}
    assert fields["next"] == "/ui/decisions?agent=fraud"
    assert [each for each in form.all("body") if "data-live" in each.attributes] == []

    sent = {"token": TOKEN, "next": fields["next"]}
    async with client.post("/ui/session", data=sent, allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (303, "/ui/decisions?agent=fraud")

    page = await opened(client, "/ui/decisions?agent=fraud")
    assert "anna (read)" in page.text
    assert "read-only" in page.text
    assert "/ui/logout" in page.asked_for

    async with client.post("/ui/logout", allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (303, "/ui/login")
    async with client.get("/ui/", headers=BROWSER, allow_redirects=False) as response:
        assert response.status == 303


async def test_a_wrong_token_gets_the_form_again_and_nothing_of_it_is_shown(client: Client) -> None:
    sent = {"token": "<script>guess", "next": "//evil.example"}
    async with client.post("/ui/session", data=sent, headers=BROWSER) as response:
        text = await response.text()

    assert response.status == 401
    assert "Nobody has this token" in text
    assert "guess" not in text
    assert "evil.example" not in text


async def test_files_of_the_page_need_no_token_and_its_stream_does(client: Client) -> None:
    form = await opened(client, "/ui/login")
    for address in form.asked_for:
        if address.startswith("/ui/static/"):
            async with client.get(address) as response:
                assert response.status == 200
    async with client.get("/ui/live", allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (303, "/ui/login")
