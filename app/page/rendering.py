"""Rendering: templates with what they show, as whole pages or as the part that htmx asked for.

Everything shown is text: markup in it is escaped by the engine, and characters that nobody can see (controls, a change
of the direction of writing) are written as escapes, so what is shown is what is there. A name that a template uses and
nobody gave is an error, never nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from agents.model.text import escaped
from app.page.help import HELP
from app.page.security import new_nonce, page_headers
from app.page.static_files import StaticFiles

FOLDER: Final = Path(__file__).parent / "templates"

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400
#: Characters of a text that a line of a list shows.
_SHORT: Final = 140


def environment(statics: StaticFiles) -> Environment:
    """The templates and what all of them may use."""
    templates = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_seen,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        # Every template of the page, compiled once.
        cache_size=-1,
    )
    templates.filters.update(
        at=absolute,
        machine_time=machine_time,
        local_input=local_input,
        duration=duration,
        text_lines=text_lines,
        pretty=pretty,
        short=shortened,
        path_part=partial(quote, safe=""),
        number=number,
    )
    templates.globals.update(static=statics.address, link=link, ago=ago, help_texts=HELP)
    templates.globals["ui"] = templates.get_template("macros.html").module
    return templates


def render(templates: Environment, template: str, context: Mapping[str, Any], *, whole: bool) -> str:
    """The page; only its content (and title) unless `whole`."""
    layout = "layout.html" if whole else "content_only.html"
    return templates.get_template(template).render({**context, "layout": layout})


def html_response(
    templates: Environment, template: str, context: Mapping[str, Any], *, whole: bool, status: int = 200
) -> web.Response:
    """A page as a response, with a nonce of its own."""
    nonce = new_nonce()
    text = render(templates, template, {**context, "nonce": nonce}, whole=whole)
    return web.Response(
        text=text, content_type="text/html", charset="utf-8", status=status, headers=page_headers(nonce)
    )


def is_partial(request: web.BaseRequest) -> bool:
    """Whether htmx asks for a part of the page, and not a browser for all of it, or for what it has forgotten."""
    headers = request.headers
    return (
        headers.get("HX-Request") == "true"
        and headers.get("HX-Request-Type") != "full"
        and headers.get("HX-History-Restore-Request") != "true"
    )


def absolute(at: datetime) -> str:
    """An instant for people: UTC, to the millisecond where it has any."""
    utc = at.astimezone(UTC)
    fraction = f".{utc.microsecond // 1000:03d}" if utc.microsecond else ""
    return f"{utc:%Y-%m-%d %H:%M:%S}{fraction}"


def machine_time(at: datetime) -> str:
    """An instant as RFC 3339."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def local_input(at: datetime) -> str:
    """An instant as a field of a form takes it: UTC, to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"


def ago(at: datetime, now: datetime) -> str:
    """How long ago, or in how much time, in one unit."""
    seconds = (now - at).total_seconds()
    if abs(seconds) < 1:
        return "just now"
    return f"in {duration(-seconds)}" if seconds < 0 else f"{duration(seconds)} ago"


def duration(seconds: float) -> str:
    """A length of time, in one unit that people read."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms" if seconds else "0 s"
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def number(value: float) -> Markup:
    """A number with a thin space between thousands, which is meant to be there."""
    return Markup(f"{value:,}".replace(",", "\u202f") if isinstance(value, int) else f"{value:g}")  # noqa: S704


def text_lines(text: str) -> Markup:
    """A text of several lines; everything else that nobody can see is escaped."""
    return Markup("\n").join(escape(escaped(line)) for line in text.split("\n"))


def pretty(value: object) -> Markup:
    """A value as indented JSON."""
    return text_lines(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def shortened(text: str, length: int = _SHORT) -> str:
    """The beginning of a text."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def link(**parameters: Any) -> str:
    """The query of an address; what is None or empty is left out. Nothing when nothing is left."""
    given = [(name, _parameter(value)) for name, value in parameters.items() if value not in (None, "", False)]
    return f"?{urlencode(given)}" if given else ""


def _parameter(value: object) -> str:
    if isinstance(value, datetime):
        return machine_time(value)
    return "true" if value is True else str(value)


def _seen(value: Any) -> Any:
    """What is put into a page: texts with their unseen characters escaped; what is markup already, as it is."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return escaped(value)
    return value


def template_names() -> Sequence[str]:
    """Every template, by the name it is rendered under."""
    return sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.html"))
