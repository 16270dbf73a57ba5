"""What the tests of the page rely on: a watch hears every complaint, axe finds what is grave, and too wide is seen."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from accessibility import grave_findings
from playwright.sync_api import Browser, Page
from watching import Watch, overflowing

POLICY = "default-src 'self'; img-src 'self' data:; script-src 'nonce-known'"
FINE = "<html lang=en><title>Fine</title><main><h1>Fine</h1></main>"


class Echo(BaseHTTPRequestHandler):
    """Answers with the HTML of its query, under a strict policy."""

    def do_GET(self) -> None:
        html = parse_qs(urlsplit(self.path).query).get("html", [""])[0].encode()
        self.send_response(200 if html else 404)
        for name, value in (("Content-Type", "text/html"), ("Content-Security-Policy", POLICY)):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b'<!doctype html><link rel=icon href="data:,">' + html)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called
        """Say nothing."""


@pytest.fixture(scope="module")
def echo() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        serving = Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


@pytest.fixture
def page(chromium: Browser, echo: str) -> Iterator[Page]:
    context = chromium.new_context(base_url=echo, viewport={"width": 360, "height": 640})
    yield context.new_page()
    context.close()


@pytest.fixture
def watch(page: Page, echo: str) -> Watch:
    return Watch(page.context, echo)


def show(page: Page, html: str) -> None:
    page.goto(f"/?{urlencode({'html': html})}")
    page.evaluate("() => new Promise((resolve) => setTimeout(resolve))")  # whatever was under way is said by then


def test_a_page_in_order_is_no_reason_to_complain(page: Page, watch: Watch) -> None:
    show(page, f"{FINE}<script nonce=known>document.title = 'changed'</script>")

    assert (page.title(), watch.complaints) == ("changed", [])
    assert (grave_findings(page), overflowing(page)) == ([], [])
    assert watch.complaints == []  # axe brings none either


@pytest.mark.parametrize(
    ("html", "complaint"),
    [
        ("<script nonce=known>console.error('went wrong')</script>", "console error: went wrong"),
        ("<script nonce=known>console.warn('look out')</script>", "console warning: look out"),
        ("<script nonce=known>throw new Error('thrown')</script>", "uncaught: thrown"),
        ("<script nonce=known>Promise.reject(new Error('rejected'))</script>", "uncaught: rejected"),
        ("<script>document.title = 'changed'</script>", "securitypolicyviolation: script-src-elem inline"),
        ("<script nonce=known>try { eval('1') } catch {}</script>", "securitypolicyviolation: script-src eval"),
        ("<p style='color: red'>red</p>", "securitypolicyviolation: style-src-attr inline"),
        ("<img alt='' src='http://127.0.0.2:9/pixel'>", "securitypolicyviolation: img-src http://127.0.0.2:9/pixel"),
        ("<img alt='' src='/missing'>", "console error: Failed to load resource"),
    ],
)
def test_what_a_browser_complains_of_is_noted(page: Page, watch: Watch, html: str, complaint: str) -> None:
    show(page, FINE + html)

    assert any(complaint in said.partition(" at ")[0] for said in watch.complaints), watch.complaints


def test_a_request_to_elsewhere_is_noted_where_a_policy_lets_it_pass(page: Page, watch: Watch) -> None:
    page.set_content(f"{FINE}<img alt='' src='http://127.0.0.2:9/pixel'>", wait_until="load")

    assert "asked elsewhere: http://127.0.0.2:9/pixel" in watch.complaints


def test_what_a_test_expects_is_no_complaint_and_all_else_is(page: Page, watch: Watch) -> None:
    watch.expect("this one")

    show(page, f"{FINE}<script nonce=known>console.error('this one'); console.error('that one')</script>")

    assert [said.partition(" at ")[0] for said in watch.complaints] == ["console error: that one"]


def test_axe_finds_what_cannot_be_read(page: Page) -> None:
    show(page, f"{FINE}<button></button><img src='data:,'>")

    assert {said.split()[1] for said in grave_findings(page)} == {"button-name", "image-alt"}


def test_what_makes_a_page_scroll_sideways_is_named(page: Page) -> None:
    page.set_content(f"{FINE}<p style='width: 400px'>too wide</p>")

    assert any(said.startswith("p. too wide") for said in overflowing(page))
