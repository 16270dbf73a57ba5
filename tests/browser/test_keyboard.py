"""The page with a keyboard alone: everything that can be pressed is reached, seen to be, and pressed."""

from __future__ import annotations

import re
from typing import Final

import pytest
from conftest import OpenPage
from places import PLACES, opened
from playwright.sync_api import Page, expect

from app.sandbox import Sandbox

#: What can be pressed or written in, unless it is hidden.
PRESSABLE: Final = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']"
#: Stops of Tab on one page, by far.
MOST_STOPS: Final = 1000
#: How everything looks that can be pressed, kept to compare with how it looks when it has the focus.
LOOKS: Final = """(pressable) => {
    window.looks = (element) => {
        const style = getComputedStyle(element);
        const told = ["outlineStyle", "outlineWidth", "boxShadow", "borderColor", "backgroundColor", "opacity", "left"];
        return JSON.stringify(told.map((name) => style[name]));
    };
    document.activeElement.blur();
    window.pressable = [...document.querySelectorAll(pressable)];
    window.before = window.pressable.map(window.looks);
    return window.pressable.map((each) => each.checkVisibility({visibilityProperty: true}));
}"""
#: What has the focus: its place among all, and whether it looks otherwise than without.
FOCUSED: Final = """() => {
    const place = window.pressable.indexOf(document.activeElement);
    return [place, place >= 0 && window.looks(document.activeElement) !== window.before[place]];
}"""


@pytest.mark.parametrize("path", PLACES)
def test_tab_leads_to_everything_that_can_be_pressed_and_shows_where_it_is(
    open_page: OpenPage, sandbox: Sandbox, path: str
) -> None:
    page = open_page(opened(path, sandbox.database_url), reduced_motion="reduce")
    visible = {place for place, is_visible in enumerate(page.evaluate(LOOKS, PRESSABLE)) if is_visible}

    reached, unseen = tabbed(page)

    assert {told(page, place) for place in visible - reached if not leads_elsewhere(page, place)} == set()
    assert {told(page, place) for place in unseen} == set()


def tabbed(page: Page) -> tuple[set[int], set[int]]:
    """Where Tab leads from the beginning of the page to its end, and where it is not seen to be there."""
    reached: set[int] = set()
    seen: set[int] = set()
    last = None
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        place, is_seen = page.evaluate(FOCUSED)
        # A field for a date has several stops of its own, and shows the focus at one of them. Beyond the last place
        # is the browser, and a page that begins within a field comes round to what is before it.
        if place in reached and place != last:
            return reached - {-1}, reached - seen - {-1}
        reached.add(place)
        if is_seen:
            seen.add(place)
        last = place
    raise AssertionError(f"Tab comes to no end: {len(reached)} places")


def leads_elsewhere(page: Page, place: int) -> bool:
    """Whether a link that Tab leaves out in a drawing leads where one beside it does that Tab finds."""
    script = """(place) => {
        const left = window.pressable[place];
        return left.tabIndex < 0 && window.pressable.some((each) =>
            each.tabIndex >= 0 && each.checkVisibility() && each.getAttribute("href") === left.getAttribute("href"));
    }"""
    return bool(page.evaluate(script, place))


def told(page: Page, place: int) -> str:
    """The element there."""
    return str(page.evaluate("(place) => window.pressable[place].outerHTML.slice(0, 160)", place))


def test_the_first_tab_skips_to_the_content(open_page: OpenPage) -> None:
    page = open_page("/ui/decisions")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")

    expect(page.locator("main")).to_be_focused()


@pytest.mark.parametrize("keys", ["/", "Control+k"])
def test_the_palette_leads_to_a_view_by_some_letters_of_its_name(open_page: OpenPage, keys: str) -> None:
    page = open_page("/ui/")

    page.keyboard.press(keys)
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.type("decis")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", level=1)).to_have_text("Decisions")


def test_the_palette_closes_by_escape_and_gives_the_focus_back(open_page: OpenPage) -> None:
    page = open_page("/ui/")
    link = page.get_by_role("link", name="Help").first
    link.focus()

    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox")).to_be_focused()
    page.keyboard.press("Escape")

    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(link).to_be_focused()


def test_letters_lead_to_places_unless_somebody_writes(open_page: OpenPage) -> None:
    page = open_page("/ui/")

    page.get_by_role("searchbox").focus()
    page.keyboard.type("gd")
    expect(page).to_have_url(re.compile(r"/ui/$"))
    page.locator("main").focus()
    page.keyboard.type("gd")

    expect(page.get_by_role("heading", level=1)).to_have_text("Decisions")


def test_j_and_k_move_through_the_rows_of_a_list_and_enter_opens_one(open_page: OpenPage) -> None:
    page = open_page("/ui/decisions")

    page.keyboard.type("jjjk")
    row = page.locator("main tbody tr").nth(1)
    expect(row.get_by_role("link").first).to_be_focused()
    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile(r"/ui/decisions/[0-9a-f-]{36}$"))
