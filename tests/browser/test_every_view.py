"""Every view of the page with live data: for those who see it, and those who do not, in the light and in the dark, wide
and narrow. Whatever a browser complains of fails these tests too (`conftest`).
"""

from __future__ import annotations

import pytest
from accessibility import grave_findings
from conftest import OpenPage
from places import PLACES, opened
from playwright.sync_api import Page, expect
from shop_catalogue import CATALOGUE
from watching import overflowing

from app.page.views import VIEWS
from app.page.views.listings import listing_views
from app.sandbox import Sandbox

NARROW = 360


def test_every_view_is_opened_by_these_tests() -> None:
    views = (*VIEWS, *listing_views(CATALOGUE))
    assert {view.path for view in views if view.method == "get"} == PLACES.keys()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PLACES)
def test_a_view_is_readable_for_everybody(open_page: OpenPage, sandbox: Sandbox, path: str, scheme: str) -> None:
    page = open_page(opened(path, sandbox.database_url), color_scheme=scheme)

    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    assert grave_findings(page) == []
    assert overflowing(page) == []
    page.set_viewport_size({"width": NARROW, "height": 740})
    assert overflowing(page) == []
    assert grave_findings(page) == []


@pytest.mark.parametrize("path", PLACES)
def test_a_view_leads_to_the_same_places_without_scripts(open_page: OpenPage, sandbox: Sandbox, path: str) -> None:
    place = opened(path, sandbox.database_url)

    with_scripts = open_page(place)
    without = open_page(place, java_script_enabled=False)

    assert links(without)
    assert links(without) == links(with_scripts)


def links(page: Page) -> set[str]:
    """Where the page leads, and where its forms are sent to."""
    found = page.locator("a[href], form[action]").all()
    return {str(each.get_attribute("href") or each.get_attribute("action")) for each in found}
