"""Who gets pages and who gets JSON."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from app.web.negotiation import ERROR_PAGE, for_people, prefers_html
from app.web.problems import problem


@pytest.mark.parametrize(
    ("accepts", "html"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("TEXT/HTML", True),
        ("application/json;q=0.2, text/html;q=0.3", True),
        ("application/json, text/html", False),
        ("text/html;q=0", False),
        ("text/html;q=loud", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_only_who_prefers_html_gets_it(accepts: str, html: bool) -> None:
    assert prefers_html(make_mocked_request("GET", "/", headers={"Accept": accepts})) is html


def app_with_pages() -> web.Application:
    app = web.Application()
    app[ERROR_PAGE] = lambda _request, status, reason: web.Response(
        text=f"<h1>{reason}</h1>", status=status, content_type="text/html"
    )
    return app


async def answered(app: web.Application, path: str, answer: web.Response) -> web.StreamResponse:
    async def handler(_: web.Request) -> web.StreamResponse:
        return answer

    return await for_people(make_mocked_request("GET", path, app=app), handler)


async def test_a_problem_under_the_page_becomes_a_page_and_keeps_what_to_do() -> None:
    answer = await answered(
        app_with_pages(), "/ui/x", problem(503, "too many requests at a time", headers={"Retry-After": "1"})
    )

    assert isinstance(answer, web.Response)
    assert (answer.status, answer.text, answer.headers["Retry-After"]) == (
        503,
        "<h1>too many requests at a time</h1>",
        "1",
    )


@pytest.mark.parametrize("path", ["/decisions", "/uix", "/"])
async def test_a_problem_elsewhere_stays_one(path: str) -> None:
    given = problem(404, "no decision")

    assert await answered(app_with_pages(), path, given) is given


async def test_without_a_page_and_without_a_problem_nothing_changes() -> None:
    given, fine = problem(404, "no decision"), web.json_response({"status": "fine"})

    assert await answered(web.Application(), "/ui/x", given) is given
    assert await answered(app_with_pages(), "/ui/x", fine) is fine
