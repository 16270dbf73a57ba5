"""Fixtures of the tests in a browser: a worker with a shop's story, and Chromium, each once; a fresh context per test.

A test's page fails it with whatever the browser complained of: console, policy, requests to elsewhere.
"""

from __future__ import annotations

import asyncio
import io
import os
import shutil
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
from observed import rows
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console
from watching import Watch

from app.demo.observation import observe
from app.demo.screen import Screen
from app.sandbox import Sandbox
from app.sandbox.worker_process import WorkerProcess
from app.simulator import simulated_until_now

T = TypeVar("T")

#: Opens a page of its own; see `open_page`.
OpenPage = Callable[..., Page]

#: How long the browser waits for what a test looks for, in milliseconds: nobody waits as long when it is there.
PATIENCE_MS: Final = 60_000


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", action="store_true", help="write those of the README")


def apart(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run it in a thread: Playwright has a loop of its own in this one."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, coroutine).result()


@pytest.fixture(scope="session")
def worker(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """A worker that has decided on all of a shop's story."""
    process = WorkerProcess(sandbox, tmp_path_factory.mktemp("worker") / "first")
    records = simulated_until_now(seed=1, orders=60, failures=12, unusual=12).records
    try:
        process.start()
        with Screen(Console(file=io.StringIO()), total=len(records), verbose=False) as screen:
            observed = apart(observe(sandbox, records, screen))
        assert not observed.is_stalled
        rows(sandbox.database_url, (Path(__file__).parent / "beside.sql").read_text(encoding="utf-8"))
        yield process
    finally:
        process.release()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, or the one of `CHROMIUM`: there is none to download."""
    executable = shutil.which(os.environ.get("CHROMIUM") or "chromium")
    assert executable, "these tests need Chromium: `make chromium`"
    with sync_playwright() as playwright:
        # As root, in a container: Chromium has no sandbox there, and all it meets is ours.
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser, worker: WorkerProcess) -> Iterator[OpenPage]:
    """Opens a page of the worker in a context of its own: `open_page(path, color_scheme="dark")`.

    `url` is another worker's; `expecting` are complaints that belong to the test. Any other fails it at its end.
    """
    watches: list[Watch] = []
    with ExitStack() as stack:

        def open_one(path: str, *, url: str = worker.url, expecting: tuple[str, ...] = (), **context: Any) -> Page:
            opened = chromium.new_context(base_url=url, viewport={"width": 1280, "height": 900}, **context)
            stack.callback(opened.close)
            opened.set_default_timeout(PATIENCE_MS)
            watches.append(watch := Watch(opened, url))
            for part in expecting:
                watch.expect(part)
            page = opened.new_page()
            page.goto(path)
            return page

        yield open_one
    assert [complaint for watch in watches for complaint in watch.complaints] == []


@pytest.fixture
def screenshots(request: pytest.FixtureRequest) -> Path | None:
    """Where the pictures of the README go; None when they stay as they are."""
    return Path(__file__).parents[2] / "docs/screenshots" if request.config.getoption("--screenshots") else None
