"""Who comes in, as whom, and whether they mean it: what a real server answers real requests."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from http.cookies import SimpleCookie
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from app.settings import Settings
from app.web.callers import Role, caller_of
from app.web.connections import Connections, Limits
from app.web.headers import add_headers
from app.web.middleware import middlewares
from app.web.sessions import CSRF_HEADER, Sessions, log_out

Client = TestClient[Any, Any]
Start = Callable[..., Any]

SECRETS = {"anna": "annas-token", "bert": "berts-token", "carl": "carls-token"}
ROLES = {"anna": "approve", "bert": "operate", "carl": "read"}
API_TOKENS = ",".join(
    f"{name}:{ROLES[name]}:{hashlib.sha256(secret.encode()).hexdigest()}" for name, secret in SECRETS.items()
)
REQUIRED = {
    ("GET", "/seen"): Role.READ,
    ("POST", "/redriven"): Role.OPERATE,
    ("POST", "/approved"): Role.APPROVE,
    ("POST", "/asked"): Role.READ,
    ("GET", "/ui/flow"): Role.READ,
    ("POST", "/ui/press"): Role.APPROVE,
    ("POST", "/ui/login"): Role.NOTHING,
    ("POST", "/ui/logout"): Role.NOTHING,
}
JSON = {"Content-Type": "application/json"}


async def read_secret() -> bytes:
    return b"s" * 32


def guarded(*, is_private: bool = True, **values: Any) -> web.Application:
    """Pages that say who asks for them, behind the middlewares."""
    access = Settings(_env_file=None, **values).access
    sessions = Sessions(access.tokens, read_secret)

    async def show(request: web.Request) -> web.Response:
        caller = caller_of(request)
        csrf = await sessions.csrf_token(request)
        return web.json_response([caller.name, caller.role.word, caller.known_by], headers={"X-Csrf": csrf})

    async def log_in(request: web.Request) -> web.Response:
        return await sessions.log_in(request)

    async def leave(request: web.Request) -> web.Response:
        return log_out(request)

    connections = Connections(Limits())
    connections.is_private = is_private
    guards = middlewares(access, sessions, connections, parameters={}, required=REQUIRED)
    application = web.Application(middlewares=guards)
    application.on_response_prepare.append(add_headers)
    answers = {"/ui/login": log_in, "/ui/logout": leave}
    for method, path in REQUIRED:
        application.router.add_route(method, path, answers.get(path, show))
    return application


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def run(**values: Any) -> Client:
            return await stack.enter_async_context(TestClient(TestServer(guarded(**values))))

        yield run


def shows(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {SECRETS[name]}"}


async def asked(client: Client, method: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> Any:
    """The status, and the body where all went well."""
    async with client.request(method, path, headers=headers, allow_redirects=False, **more) as response:
        return response.status, await response.json() if response.status == 200 else response.headers


async def logged_in(client: Client, token: str, **headers: str) -> tuple[dict[str, str], str]:
    """The cookie of a new session, as a header, and its CSRF token."""
    async with client.post("/ui/login", data={"token": token}, headers=headers, allow_redirects=False) as response:
        assert response.status == 303
        [cookie] = response.headers.getall("Set-Cookie")
    sent = {"Cookie": cookie.partition(";")[0]}
    client.session.cookie_jar.clear()
    async with client.get("/seen", headers=sent) as response:
        return sent, response.headers["X-Csrf"]


# Roles


@pytest.mark.parametrize(
    ("name", "statuses"),
    [("anna", [200, 200, 200, 200]), ("bert", [200, 200, 200, 403]), ("carl", [200, 200, 403, 403])],
)
@pytest.mark.parametrize("is_private", [True, False])
async def test_a_token_opens_what_its_role_may(start: Start, name: str, statuses: list[int], is_private: bool) -> None:
    client = await start(is_private=is_private, api_tokens=API_TOKENS)
    paths = [("GET", "/seen"), ("POST", "/asked"), ("POST", "/redriven"), ("POST", "/approved")]
    assert [(await asked(client, *place, shows(name)))[0] for place in paths] == statuses
    assert await asked(client, "GET", "/seen", shows(name)) == (200, [name, ROLES[name], "token"])


async def test_the_shared_token_opens_everything_and_names_nobody_beside_those_of_people(start: Start) -> None:
    client = await start(is_private=False, api_token="let-me-in", api_tokens=API_TOKENS)
    shared = {"Authorization": "Bearer let-me-in"}
    assert await asked(client, "POST", "/approved", shared) == (200, [None, "approve", None])
    assert await asked(client, "POST", "/approved", shows("anna")) == (200, ["anna", "approve", "token"])


async def test_on_loopback_reads_are_open_and_changes_are_not_where_people_have_tokens(start: Start) -> None:
    client = await start(api_tokens=API_TOKENS)
    assert await asked(client, "GET", "/seen") == (200, [None, "read", None])
    assert await asked(client, "POST", "/asked", JSON) == (200, [None, "read", None])
    for path in ("/redriven", "/approved"):
        assert (await asked(client, "POST", path, JSON))[0] == 401


async def test_on_loopback_everything_is_open_where_nobody_has_a_token(start: Start) -> None:
    assert await asked(await start(), "POST", "/approved", JSON) == (200, [None, "approve", None])


async def test_a_hash_is_not_its_token(start: Start) -> None:
    client = await start(is_private=False, api_tokens=API_TOKENS)
    hashed = API_TOKENS.split(":")[2].partition(",")[0]
    assert (await asked(client, "GET", "/seen", {"Authorization": f"Bearer {hashed}"}))[0] == 401


# Read-only


async def test_a_read_only_worker_changes_nothing_for_anybody_and_says_why(start: Start) -> None:
    client = await start(api_tokens=API_TOKENS, read_only=True)
    for path in ("/redriven", "/approved"):
        async with client.post(path, headers=shows("anna")) as response:
            assert response.status == 403
            assert "read-only (READ_ONLY)" in await response.text()
    assert (await asked(client, "GET", "/seen", shows("anna")))[0] == 200
    assert (await asked(client, "POST", "/asked", shows("anna")))[0] == 200
    cookie, _ = await logged_in(client, SECRETS["anna"])
    assert (await asked(client, "GET", "/seen", cookie))[0] == 200


async def test_a_read_only_worker_without_tokens_changes_nothing_either(start: Start) -> None:
    assert (await asked(await start(read_only=True), "POST", "/approved", JSON))[0] == 403


# A proxy that knows its users

PROXY = {"trusted_proxy_header": "X-Forwarded-User"}
ADA = {"X-Forwarded-User": "ada"}


async def test_a_user_of_the_proxy_is_let_in_by_name(start: Start) -> None:
    client = await start(**PROXY, trusted_proxy_role="approve")
    assert await asked(client, "POST", "/approved", ADA | JSON) == (200, ["ada", "approve", "proxy"])


async def test_behind_a_proxy_nothing_is_open_to_who_is_not_named(start: Start) -> None:
    client = await start(**PROXY, api_tokens=API_TOKENS)
    assert (await asked(client, "GET", "/seen"))[0] == 401
    assert (await asked(client, "GET", "/seen", shows("carl")))[0] == 200
    assert (await asked(client, "GET", "/seen", ADA))[0] == 200
    assert (await asked(client, "POST", "/approved", ADA | JSON))[0] == 403


@pytest.mark.parametrize("beside", [{}, shows("anna")])
async def test_a_user_named_from_another_address_is_refused_whatever_else_they_show(
    start: Start, beside: dict[str, str]
) -> None:
    client = await start(is_private=False, **PROXY, trusted_proxies="192.0.2.0/24,unix", api_tokens=API_TOKENS)
    assert (await asked(client, "GET", "/seen", ADA | beside))[0] == 403
    cookie, _ = await logged_in(client, SECRETS["anna"])
    assert (await asked(client, "GET", "/seen", ADA | cookie))[0] == 403


async def test_without_the_setting_the_header_says_nothing(start: Start) -> None:
    client = await start(is_private=False, api_tokens=API_TOKENS)
    assert (await asked(client, "GET", "/seen", ADA))[0] == 401
    assert await asked(client, "GET", "/seen", ADA | shows("carl")) == (200, ["carl", "read", "token"])


@pytest.mark.parametrize("is_private", [True, False])
async def test_a_page_of_another_name_that_leads_to_this_machine_cannot_speak_for_the_proxy(
    start: Start, is_private: bool
) -> None:
    client = await start(is_private=is_private, **PROXY, trusted_proxy_role="approve")
    assert (await asked(client, "POST", "/approved", ADA | JSON | {"Host": "evil.example:6066"}))[0] == 403


# Sessions


async def test_a_session_is_who_opened_it_and_its_cookie_is_of_no_use_to_a_script_or_another_site(start: Start) -> None:
    client = await start(is_private=False, api_tokens=API_TOKENS)
    form = {"token": f" {SECRETS['anna']}\n", "next": "/ui/flow?of=a"}
    async with client.post("/ui/login", data=form, allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (303, "/ui/flow?of=a")
        assert response.headers["Cache-Control"] == "no-store"
        [(name, cookie)] = SimpleCookie(response.headers["Set-Cookie"]).items()
    assert name == "innervate-session"
    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["max-age"]) == (True, "Strict", "/", "28800")
    assert (cookie["secure"], cookie["domain"]) == ("", "")
    sent = {"Cookie": f"{name}={cookie.value}"}
    assert await asked(client, "GET", "/seen", sent) == (200, ["anna", "approve", "token"])


@pytest.mark.parametrize("forwarded", [{"X-Forwarded-Proto": "https"}, {"Origin": "https://HOST"}])
async def test_behind_https_the_cookie_is_this_hosts_alone(start: Start, forwarded: dict[str, str]) -> None:
    client = await start(is_private=False, api_tokens=API_TOKENS)
    headers = {name: value.replace("HOST", f"{client.host}:{client.port}") for name, value in forwarded.items()}
    async with client.post(
        "/ui/login", data={"token": SECRETS["anna"]}, headers=headers, allow_redirects=False
    ) as response:
        [(name, cookie)] = SimpleCookie(response.headers["Set-Cookie"]).items()
    assert (name, cookie["secure"], cookie["path"], cookie["domain"]) == ("__Host-innervate-session", True, "/", "")


async def test_a_log_in_takes_no_session_from_the_browser(start: Start) -> None:
    client = await start(api_tokens=API_TOKENS)
    planted, _ = await logged_in(client, SECRETS["carl"])
    mine, _ = await logged_in(client, SECRETS["anna"], **planted)
    assert mine != planted
    assert (await asked(client, "GET", "/seen", mine))[1] == ["anna", "approve", "token"]
    assert (await asked(client, "GET", "/seen", planted))[1] == ["carl", "read", "token"]


@pytest.mark.parametrize("form", [{"token": "nobodys"}, {"token": ""}, {}, {"next": "/ui/"}])
async def test_what_is_nobodys_token_opens_no_session(start: Start, form: dict[str, str]) -> None:
    client = await start(api_tokens=API_TOKENS)
    status, headers = await asked(client, "POST", "/ui/login", data=form)
    assert status == 401
    assert "Set-Cookie" not in headers


async def test_a_log_out_takes_the_cookie_away(start: Start) -> None:
    client = await start(api_tokens=API_TOKENS)
    async with client.post("/ui/logout", allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (303, "/ui/login")
        taken = [SimpleCookie(line) for line in response.headers.getall("Set-Cookie")]
    cookies = {name: cookie for one in taken for name, cookie in one.items()}
    assert {name: (cookie.value, cookie["max-age"]) for name, cookie in cookies.items()} == {
        "__Host-innervate-session": ("", "0"),
        "innervate-session": ("", "0"),
    }
    assert cookies["__Host-innervate-session"]["secure"]


# Requests that a page of somebody else made


@pytest.mark.parametrize(
    "origin",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
    ],
)
@pytest.mark.parametrize("path", ["/approved", "/asked", "/ui/login", "/ui/logout", "/ui/press"])
async def test_a_page_of_another_site_changes_nothing_and_lets_nobody_in(
    start: Start, origin: dict[str, str], path: str
) -> None:
    for settings in (
        {},
        {"api_tokens": API_TOKENS},
        {**PROXY, "api_tokens": API_TOKENS, "trusted_proxy_role": "approve"},
    ):
        client = await start(**settings)
        known: dict[str, str] = {}
        if "trusted_proxy_header" in settings:
            known = ADA
        elif settings:
            cookie, csrf = await logged_in(client, SECRETS["anna"])
            known = cookie | {CSRF_HEADER: csrf}
        assert (await asked(client, "POST", path, known | JSON | origin))[0] == 403


@pytest.mark.parametrize(
    "origin", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": "own"}]
)
async def test_a_session_changes_something_with_its_own_token_alone(start: Start, origin: dict[str, str]) -> None:
    client = await start(api_tokens=API_TOKENS)
    headers = {name: value.replace("own", str(client.make_url("")).rstrip("/")) for name, value in origin.items()}
    cookie, csrf = await logged_in(client, SECRETS["anna"])
    _, others = await logged_in(client, SECRETS["anna"])
    for content in (JSON, {"Content-Type": "application/x-www-form-urlencoded"}):
        given = cookie | headers | content
        assert (await asked(client, "POST", "/ui/press", given | {CSRF_HEADER: csrf}))[0] == 200
        for wrong in ({}, {CSRF_HEADER: ""}, {CSRF_HEADER: others}, {CSRF_HEADER: csrf[:-1]}):
            assert (await asked(client, "POST", "/ui/press", given | wrong))[0] == 403
    assert (await asked(client, "GET", "/seen", cookie))[0] == 200


async def test_a_program_with_a_token_needs_nothing_else(start: Start) -> None:
    client = await start(api_tokens=API_TOKENS)
    headers = shows("anna") | {"Origin": "https://tools.example", "Sec-Fetch-Site": "cross-site"}
    assert (await asked(client, "POST", "/approved", headers))[0] == 200


@pytest.mark.parametrize("settings", [{}, {**PROXY, "trusted_proxy_role": "approve"}])
@pytest.mark.parametrize(
    "content", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
async def test_where_no_token_is_asked_for_a_form_has_that_of_the_page(
    start: Start, settings: dict[str, str], content: str
) -> None:
    client = await start(**settings)
    known = ADA if settings else {}
    async with client.get("/seen", headers=known) as response:
        csrf = response.headers["X-Csrf"]
    form = known | {"Content-Type": content}
    assert (await asked(client, "POST", "/ui/press", form))[0] == 415
    assert (await asked(client, "POST", "/ui/press", form | {CSRF_HEADER: "guessed"}))[0] == 415
    assert (await asked(client, "POST", "/ui/press", form | {CSRF_HEADER: csrf}))[0] == 200


# What a browser is told


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/seen", 200), ("GET", "/nowhere", 404), ("POST", "/approved", 401)]
)
async def test_no_answer_can_be_shown_inside_somebodys_page(start: Start, method: str, path: str, status: int) -> None:
    client = await start(api_tokens=API_TOKENS)
    async with client.request(method, path) as response:
        assert response.status == status
        assert response.headers["X-Frame-Options"] == "DENY"
        assert response.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "same-origin"


async def test_who_opens_the_page_and_is_not_known_is_led_to_its_way_in_and_back(start: Start) -> None:
    client = await start(is_private=False, api_tokens=API_TOKENS)
    page = {"Accept": "text/html,*/*"}
    status, headers = await asked(client, "GET", "/ui/flow?of=a&b=c", page)
    assert (status, headers["Location"]) == (303, "/ui/login?next=%2Fui%2Fflow%3Fof%3Da%26b%3Dc")
    status, headers = await asked(client, "GET", "/ui/flow", page | {"HX-Request": "true"})
    assert (status, headers["HX-Redirect"]) == (401, "/ui/login")
    assert (await asked(client, "GET", "/ui/flow"))[0] == 401
    assert (await asked(client, "GET", "/seen", page))[0] == 401


async def test_a_link_from_elsewhere_is_followed_again_with_the_cookie_that_was_kept_back(start: Start) -> None:
    client = await start(is_private=False, api_tokens=API_TOKENS)
    linked = {"Accept": "text/html", "Sec-Fetch-Site": "cross-site"}
    async with client.get("/ui/flow", headers=linked) as response:
        assert response.status == 200
        assert '<meta http-equiv="refresh" content="0">' in await response.text()


async def test_who_is_known_and_may_not_is_told_so_and_not_asked_again(start: Start) -> None:
    client = await start(is_private=False, api_tokens=API_TOKENS)
    cookie, csrf = await logged_in(client, SECRETS["carl"])
    async with client.post("/ui/press", headers=cookie | {CSRF_HEADER: csrf, "HX-Request": "true"}) as response:
        assert response.status == 403
        assert "carl has the role read, and this needs approve" in await response.text()


async def test_nothing_secret_is_logged_or_answered(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = await start(is_private=False, api_tokens=API_TOKENS, api_token="let-me-in")
    cookie, csrf = await logged_in(client, SECRETS["anna"])
    value = cookie["Cookie"].partition("=")[2]
    told = []
    for headers in (
        {"Authorization": "Bearer wrong-guess"},
        {"Authorization": f"Basic {SECRETS['anna']}"},
        cookie | {"Cookie": f"innervate-session={value[:-1]}"},
        cookie,
        cookie | {CSRF_HEADER: csrf[:-1]},
    ):
        async with client.post("/ui/press", headers=headers) as response:
            assert response.status in {401, 403}
            told.append(f"{dict(response.headers)} {await response.text()}")
    async with client.post("/ui/login", data={"token": "wrong-guess"}) as response:
        told.append(f"{dict(response.headers)} {await response.text()}")
    said = "\n".join([*told, *(record.getMessage() for record in caplog.records)])
    for secret in (*SECRETS.values(), "let-me-in", "wrong-guess", value, value[:-1], csrf, csrf[:-1]):
        assert secret not in said
