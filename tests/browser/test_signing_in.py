"""Who somebody is decides what the page lets them change, and under which name it is written down."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Final

import pytest
from conftest import OpenPage, apart
from held import held, write
from observed import rows
from playwright.sync_api import Page, expect

from app.sandbox import Sandbox
from app.sandbox.worker_process import WorkerProcess

#: Tokens of two people; the worker knows their hashes.
TOKENS: Final = {"ada": "a" * 40, "bob": "b" * 40}
ROLES: Final = {"ada": "approve", "bob": "read"}
UNAUTHORIZED: Final = "Failed to load resource: the server responded with a status of 401"


@pytest.fixture(scope="module")
def url(worker: WorkerProcess, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A worker that knows people by their tokens, beside the one that knows nobody."""
    known = ",".join(f"{name}:{ROLES[name]}:{sha256(TOKENS[name].encode()).hexdigest()}" for name in TOKENS)
    process = WorkerProcess(sandbox, tmp_path_factory.mktemp("known") / "worker", {"API_TOKENS": known})
    try:
        process.start()
        yield process.url
    finally:
        process.release()


@pytest.fixture
def waiting(request: pytest.FixtureRequest, sandbox: Sandbox) -> str:
    """The id of a decision that waits for a person, of this test alone."""
    record = held(request.node.name)
    apart(write(sandbox.database_url, record))
    return str(record.id)


def sign_in(page: Page, token: str) -> None:
    page.get_by_label("Your token").fill(token)
    page.get_by_role("button", name="Sign in").click()


def test_who_signs_in_comes_back_and_answers_under_the_name_of_the_token(
    open_page: OpenPage, sandbox: Sandbox, url: str, waiting: str
) -> None:
    page = open_page(f"/ui/approvals/{waiting}", url=url)
    page.locator("main").get_by_role("link", name="Sign in").click()
    sign_in(page, TOKENS["ada"])

    expect(page).to_have_url(f"{url}/ui/approvals/{waiting}")
    expect(page.get_by_label("Your name")).to_have_count(0)
    page.get_by_role("button", name="Approve", exact=True).click()

    expect(page.get_by_role("status").filter(has_text="Approved.")).to_be_visible()
    known = "SELECT answer, answered_by FROM approvals WHERE decision_id = %s"
    assert rows(sandbox.database_url, known, [waiting]) == [("approved", "ada")]


def test_who_may_only_read_sees_everything_and_no_button(open_page: OpenPage, url: str, waiting: str) -> None:
    page = open_page("/ui/login", url=url)
    sign_in(page, TOKENS["bob"])
    expect(page.get_by_text("bob")).to_be_visible()

    page.goto(f"/ui/approvals/{waiting}")

    expect(page.get_by_label("With an approval")).to_contain_text("done-")
    expect(page.get_by_role("button", name="Approve", exact=True)).to_have_count(0)


def test_a_wrong_token_opens_nothing_and_says_so(open_page: OpenPage, url: str) -> None:
    page = open_page("/ui/login", url=url, expecting=(UNAUTHORIZED,))

    sign_in(page, "c" * 40)

    expect(page.get_by_role("alert")).to_be_visible()
    assert page.context.cookies() == []


def test_who_signs_out_is_nobody_again_and_the_cookie_was_never_a_scripts(open_page: OpenPage, url: str) -> None:
    page = open_page("/ui/login", url=url)
    sign_in(page, TOKENS["ada"])
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    [cookie] = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert page.evaluate("() => document.cookie") == ""

    page.get_by_role("button", name="Sign out").click()

    expect(page.get_by_role("button", name="Sign out")).to_have_count(0)
    assert page.context.cookies() == []
