"""What templates may rely on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from aiohttp.test_utils import make_mocked_request
from jinja2 import DictLoader, Environment, UndefinedError

from app.page.rendering import (
    absolute,
    ago,
    duration,
    environment,
    is_partial,
    link,
    local_input,
    machine_time,
    number,
    pretty,
    shortened,
    template_names,
    text_lines,
)
from app.page.static_files import StaticFiles

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def templates() -> Environment:
    return environment(StaticFiles())


def shown(templates: Environment, source: str, **context: object) -> str:
    templates.loader = DictLoader({"one.html": source})
    return templates.get_template("one.html").render(context)


@pytest.mark.parametrize("name", template_names())
def test_every_template_is_well_written(templates: Environment, name: str) -> None:
    assert templates.get_template(name).name == name


def test_markup_in_a_value_is_text(templates: Environment) -> None:
    assert shown(templates, '<i title="{{ x }}">{{ x }}</i>', x="<b>\"'&") == (
        '<i title="&lt;b&gt;&#34;&#39;&amp;">&lt;b&gt;&#34;&#39;&amp;</i>'
    )


def test_what_nobody_can_see_is_written_out(templates: Environment) -> None:
    assert shown(templates, "{{ x }}", x="a\u202eb\x00c\u200bd\ne") == "a\\u202eb\\u0000c\\u200bd\\ne"


def test_what_passes_through_a_macro_is_escaped_once(templates: Environment) -> None:
    assert "&lt;b&gt;" in shown(templates, "{{ ui.chip(x) }}", x="<b>")
    assert "&amp;lt;" not in shown(templates, "{{ ui.chip(x) }}", x="<b>")


def test_a_name_nobody_gave_is_an_error(templates: Environment) -> None:
    with pytest.raises(UndefinedError):
        shown(templates, "{{ nobody_gave_it }}")


def test_texts_keep_their_lines_and_nothing_else() -> None:
    assert text_lines("a<\n\u202eb") == "a&lt;\n\\u202eb"
    assert pretty({"a": "</script>\u202e\n"}) == "{\n  &#34;a&#34;: &#34;&lt;/script&gt;\\u202e\\n&#34;\n}"


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (0, "0 s"),
        (0.25, "250 ms"),
        (1, "1 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "120 min"),
        (7200, "2 h"),
        (172_800, "2 d"),
    ],
)
def test_lengths_of_time_have_one_unit(seconds: float, says: str) -> None:
    assert duration(seconds) == says


def test_instants_are_utc_and_relative_to_now() -> None:
    east = NOON.astimezone(tz=None) + timedelta(milliseconds=5)

    assert absolute(east) == "2024-05-01 12:00:00.005"
    assert absolute(NOON) == "2024-05-01 12:00:00"
    assert machine_time(NOON) == "2024-05-01T12:00:00Z"
    assert local_input(NOON) == "2024-05-01T12:00:00"
    assert ago(NOON, NOON + timedelta(seconds=90)) == "90 s ago"
    assert ago(NOON + timedelta(hours=3), NOON) == "in 3 h"
    assert ago(NOON, NOON) == "just now"


def test_addresses_leave_out_what_is_not_given_and_quote_the_rest() -> None:
    assert link(agent=None, outcome="", related=False) == ""
    assert link(agent="a&b=c", related=True, since=NOON) == (
        "?agent=a%26b%3Dc&related=true&since=2024-05-01T12%3A00%3A00Z"
    )


def test_numbers_and_long_texts_are_short_to_read() -> None:
    assert number(1_234_567) == "1\u202f234\u202f567"
    assert number(0.5) == "0.5"
    assert shortened("abcdef", 4) == "abc…"
    assert shortened("abcd", 4) == "abcd"


@pytest.mark.parametrize(
    ("headers", "partial"),
    [
        ({}, False),
        ({"HX-Request": "true"}, True),
        ({"HX-Request": "true", "HX-Request-Type": "full"}, False),
        ({"HX-Request": "true", "HX-History-Restore-Request": "true"}, False),
    ],
)
def test_htmx_gets_a_part_where_it_asks_for_one(headers: dict[str, str], partial: bool) -> None:
    assert is_partial(make_mocked_request("GET", "/ui/", headers=headers)) is partial
