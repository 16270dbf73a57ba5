"""The case file of a story: taken from the page, and read where there is no network and nothing runs."""

from __future__ import annotations

from pathlib import Path

from accessibility import grave_findings
from conftest import OpenPage
from hostile import MARK
from places import opened
from playwright.sync_api import Browser, expect
from watching import Watch, overflowing

from app.sandbox import Sandbox
from app.story import problems_of


def test_a_case_file_is_downloaded_and_read_offline(
    open_page: OpenPage, chromium: Browser, sandbox: Sandbox, tmp_path: Path
) -> None:
    page = open_page(opened("/ui/stories/{entity}/{entity_id:.+}", sandbox.database_url))
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the case file").click()
    file = tmp_path / "case-file.html"
    download.value.save_as(file)
    assert problems_of(file.read_bytes()) == []

    context = chromium.new_context(offline=True, viewport={"width": 1280, "height": 900})
    watch = Watch(context, file.as_uri())
    read = context.new_page()
    read.goto(file.as_uri())

    expect(read.get_by_role("heading", level=1)).to_have_count(1)
    expect(read.get_by_text("verified: equal to the recorded history").first).to_be_visible()
    assert read.evaluate(f"() => {MARK} ?? null") is None
    assert watch.complaints == []
    assert grave_findings(read) == []
    read.set_viewport_size({"width": 360, "height": 740})
    assert overflowing(read) == []
    context.close()
