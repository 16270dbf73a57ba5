"""What strangers write is text on every view, whatever stands in it: no element, no script, no request."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest
from conftest import OpenPage, apart
from held import held, write
from hostile import HOSTILE, MARK, hostile_story
from observed import rows
from places import PLACES, opened
from playwright.sync_api import Page, expect
from waiting import eventually

from app.sandbox import Sandbox
from app.sandbox.worker_process import WorkerProcess
from app.simulator.sending import send_records

#: What only a hostile text would bring into a page.
BROUGHT: Final = "img[src=x], svg[onload], [onerror]"
#: What is read of it where it is shown, in a line of text or in JSON.
READ: Final = "<img src=x onerror="
#: Views that show no text of an event: numbers, declarations, places. The listings of refunds and ledger entries are
#: rendered as that of what others gave back is, and hold nothing hostile here.
WITHOUT: Final = {
    "/ui/flow",
    "/ui/decisions/groups",
    "/ui/dead-letters",
    "/ui/workers",
    "/ui/rows",
    "/ui/rows/refunds",
    "/ui/rows/ledger-entries",
    "/ui/actions",
    "/ui/login",
    "/ui/help",
}


@pytest.fixture(scope="module", autouse=True)
def hostile(worker: WorkerProcess, sandbox: Sandbox) -> None:
    """An event of every kind, hostile in each field; what agents made of them, and what nobody could read."""
    records = hostile_story()
    broken = [replace(records[0], value=HOSTILE.encode()), replace(records[1], key=HOSTILE.encode(), value=None)]
    apart(send_records({"bootstrap_servers": sandbox.kafka}, [*records, *broken], per_second=1000))
    decided = "SELECT count(DISTINCT agent) FROM decisions WHERE event_source = %s AND agent IN ('fraud', 'root_cause')"
    eventually(lambda: rows(sandbox.database_url, decided, [HOSTILE]), lambda found: found == [(2,)])
    apart(write(sandbox.database_url, held(HOSTILE)))
    beside = (Path(__file__).parent / "hostile.sql").read_text(encoding="utf-8")
    rows(sandbox.database_url, beside, {"text": HOSTILE})
    unread = "SELECT count(*) FROM dead_letters WHERE value = %s OR key = %s"
    broken_text = [HOSTILE.encode(), HOSTILE.encode()]
    eventually(lambda: rows(sandbox.database_url, unread, broken_text), lambda found: found == [(2,)])


def assert_nothing_ran(page: Page) -> None:
    assert page.evaluate(f"() => {MARK} ?? null") is None
    assert page.locator(BROUGHT).count() == 0


@pytest.mark.parametrize("path", PLACES)
def test_a_view_shows_what_stands_in_an_event_and_runs_none_of_it(
    open_page: OpenPage, sandbox: Sandbox, path: str
) -> None:
    page = open_page(opened(path, sandbox.database_url, is_hostile=True))

    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    assert_nothing_ran(page)
    assert path in WITHOUT or READ in (page.locator("main").text_content() or "")


@pytest.mark.parametrize(
    "path", ["/ui/decisions?entity_id=", "/ui/decisions?event_id=", "/ui/decisions?correlation_id="]
)
def test_a_filter_is_shown_as_it_was_asked_for_and_runs_nothing(open_page: OpenPage, path: str) -> None:
    page = open_page(path + quote(HOSTILE, safe=""))

    assert_nothing_ran(page)
    assert READ in page.content().replace("&lt;", "<")


@pytest.mark.parametrize("path", ["/ui/", "/ui/decisions/", "/ui/decisions?status=", "/ui/decisions?limit="])
def test_an_error_quotes_what_was_asked_for_and_runs_nothing(open_page: OpenPage, path: str) -> None:
    page = open_page(path + quote(HOSTILE, safe=""), expecting=("Failed to load resource",))

    expect(page.get_by_role("alert")).to_be_visible()
    assert_nothing_ran(page)
