"""Pages as a browser takes them: what they ask for, and what they may do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser

#: Attributes by which an element asks for something.
ASKING = frozenset({"src", "href", "action", "formaction", "poster", "data", "srcset", "ping", "hx-get", "hx-post"})
#: Elements that have no end.
VOID = frozenset({"meta", "link", "input", "br", "img", "hr", "col", "wbr", "area", "base", "embed", "source", "track"})


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]


@dataclass
class Page(HTMLParser):
    """Every element of a page, its text, and elements that are opened and not closed."""

    elements: list[Element] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    unclosed: list[str] = field(default_factory=list)
    wrong_ends: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs)))
        if tag not in VOID:
            self.unclosed.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if self.unclosed and self.unclosed[-1] == tag:
            self.unclosed.pop()
        else:
            self.wrong_ends.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        """What is read, with one space between words."""
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> Sequence[Element]:
        return [each for each in self.elements if each.tag == tag]

    @property
    def asked_for(self) -> Sequence[str]:
        """Every address that the page leads to or loads."""
        return [
            value
            for element in self.elements
            for name, value in element.attributes.items()
            if name in ASKING and value is not None
        ]

    @property
    def handlers(self) -> Sequence[str]:
        """Attributes that a browser would run, or that style an element: none is allowed."""
        return [
            f"{element.tag} {name}"
            for element in self.elements
            for name in element.attributes
            if name == "style" or re.match(r"on|hx-on", name)
        ]


def parsed(html: str) -> Page:
    page = Page()
    page.feed(html)
    page.close()
    return page


def require_sound(html: str, nonce: str) -> Page:
    """The page, if it is well-formed, asks nobody else for anything, and runs nothing but its own scripts."""
    page = parsed(html)
    assert (page.unclosed, page.wrong_ends) == ([], [])
    assert [address for address in page.asked_for if not re.match(r"/(?!/)|#|\?", address)] == []
    assert page.handlers == []
    assert [script for script in page.all("script") if script.attributes.get("nonce") != nonce] == []
    assert [
        script for script in page.all("script") if not (script.attributes.get("src") or "").startswith("/ui/")
    ] == []
    assert page.all("style") == []
    assert [address for address in page.asked_for if "javascript:" in address.lower()] == []
    ids = [element.attributes["id"] for element in page.elements if "id" in element.attributes]
    assert sorted(ids, key=str) == sorted(set(ids), key=str)
    return page
