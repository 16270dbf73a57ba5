"""A million decisions: what a page costs is bounded by what it shows, whatever there is. Rows are counted, not time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
from observed import rows
from plans import TELL, PlanLog
from playwright.sync_api import Browser, Page, expect
from watching import Watch

from app.sandbox import Sandbox
from app.sandbox.worker_process import WorkerProcess

DECISIONS: Final = 1_000_000
#: A page shows 50 rows, and counts of more end at 10,000 (`app.reads`).
MOST_ROWS: Final = 60_000
#: Of statements about decisions for one page, the live stream's beside.
MOST_STATEMENTS: Final = 30


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, WorkerProcess]]:
    """A worker whose database holds a million decisions, and tells what it does for each page."""
    directory = tmp_path_factory.mktemp("crowded")
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox(directory / "sandbox"))
        worker = WorkerProcess(sandbox, directory / "worker")
        stack.callback(worker.release)
        worker.start()
        worker.stop()
        fill = (Path(__file__).parent / "million.sql").read_text(encoding="utf-8")
        rows(sandbox.database_url, fill, {"decisions": DECISIONS})
        name = sandbox.database_url.rpartition("/")[2].partition("?")[0]
        for statement in TELL.format(database=name).strip().splitlines():
            rows(sandbox.database_url, statement)
        worker.start()
        yield sandbox, worker


@pytest.fixture
def page(chromium: Browser, crowded: tuple[Sandbox, WorkerProcess]) -> Iterator[Page]:
    _, worker = crowded
    context = chromium.new_context(base_url=worker.url)
    watch = Watch(context, worker.url)
    yield context.new_page()
    context.close()
    assert watch.complaints == []


@pytest.mark.parametrize(
    "path",
    [
        "/ui/",
        "/ui/flow",
        "/ui/stories",
        "/ui/stories?find=e-777777",
        "/ui/stories?find=m-555555",
        "/ui/stories/customer/c-4711",
        "/ui/decisions",
        "/ui/decisions?agent=recovery",
        "/ui/decisions?outcome=blame",
        "/ui/decisions?status=refused",
        "/ui/decisions?entity=customer&entity_id=c-4711",
        "/ui/decisions?event_id=e-999999",
        "/ui/decisions?message_id=m-500000",
        "/ui/decisions?correlation_id=o-1234",
        "/ui/decisions?agent=nobody",
        "/ui/decisions/groups",
        "/ui/approvals",
        "/ui/shadows",
        "/ui/models",
        "/ui/workers",
    ],
)
def test_a_page_looks_at_few_rows_of_many(page: Page, crowded: tuple[Sandbox, WorkerProcess], path: str) -> None:
    sandbox, _ = crowded
    log = PlanLog(sandbox.postgres.log_path)
    log.new("decisions")

    page.goto(path)

    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    statements = log.new("decisions")
    assert len(statements) <= MOST_STATEMENTS
    assert [(each.rows, each.text) for each in statements if each.rows > MOST_ROWS] == []


def test_the_last_page_of_a_list_costs_as_little_as_the_first(
    page: Page, crowded: tuple[Sandbox, WorkerProcess]
) -> None:
    sandbox, _ = crowded
    deep = "SELECT id FROM decisions WHERE event_id = 'e-990000'"
    [(before,)] = rows(sandbox.database_url, deep)
    log = PlanLog(sandbox.postgres.log_path)
    log.new("decisions")

    page.goto(f"/ui/decisions?before={before}")

    expect(page.locator("main tbody tr")).to_have_count(50)
    seen = log.new("decisions")
    assert seen
    assert max(each.rows for each in seen) < 1000
