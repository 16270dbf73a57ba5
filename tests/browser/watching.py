"""Watching a page: what a browser complains of, and what it asks for elsewhere: any of it fails the test."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, WebError

#: Says what the page's Content-Security-Policy forbade, also where it is only reported.
SAY_VIOLATIONS: Final = """
document.addEventListener("securitypolicyviolation", (event) => {
    console.error(`securitypolicyviolation: ${event.effectiveDirective} ${event.blockedURI} ${event.sample}`);
});
"""
#: What needs no request.
_OF_THE_PAGE: Final = {"data", "blob", "about"}


class Watch:
    """Complaints about the pages of a context that come from `url`."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.complaints: list[str] = []
        self._expected: list[str] = []
        self._host = urlsplit(url).netloc
        context.add_init_script(SAY_VIOLATIONS)
        context.on("console", self._said)
        context.on("weberror", self._raised)
        context.on("request", self._asked)

    def expect(self, part: str) -> None:
        """Complaints with this text belong to the test: the console tells of every answer that is an error."""
        self._expected.append(part)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self._note(f"console {message.type}: {message.text} at {message.location}")

    def _raised(self, error: WebError) -> None:
        self._note(f"uncaught: {error.error}")

    def _asked(self, request: Request) -> None:
        asked = urlsplit(request.url)
        if asked.scheme not in _OF_THE_PAGE and asked.netloc != self._host:
            self._note(f"asked elsewhere: {request.url}")

    def _note(self, complaint: str) -> None:
        if not any(part in complaint for part in self._expected):
            self.complaints.append(complaint)


def overflowing(page: Page) -> list[str]:
    """What makes the page scroll sideways: each element that ends beyond its right edge, as tag and class."""
    found: list[str] = page.evaluate(
        """() => {
            const root = document.documentElement;
            if (root.scrollWidth <= root.clientWidth) return [];
            return [...document.body.querySelectorAll("*")]
                .filter((each) => each.getBoundingClientRect().right > root.clientWidth + 1)
                .map((each) => `${each.tagName.toLowerCase()}.${each.className} ${each.textContent.slice(0, 40)}`)
                .concat(`${root.scrollWidth} of ${root.clientWidth} px`);
        }"""
    )
    return found
