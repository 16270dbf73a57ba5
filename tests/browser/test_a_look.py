"""The pictures of the README, as the page is. They are written on request alone: `make test-browser SCREENSHOTS=1`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
from conftest import OpenPage
from places import opened
from playwright.sync_api import expect

from app.sandbox import Sandbox

#: By the name of the picture: the view, and how it is looked at.
LOOKS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "story": ("/ui/stories/{entity}/{entity_id:.+}", {}),
    "flow": ("/ui/flow", {}),
    "approval": ("/ui/approvals/{decision_id}", {}),
    "decisions-dark": ("/ui/decisions", {"color_scheme": "dark"}),
}
#: Nobody waits for a picture of the README.
MOST_BYTES: Final = 300_000


@pytest.mark.parametrize("name", LOOKS)
def test_the_readme_shows_the_page_as_it_is(
    open_page: OpenPage, sandbox: Sandbox, screenshots: Path | None, name: str
) -> None:
    path, looks = LOOKS[name]
    page = open_page(opened(path, sandbox.database_url), **looks)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(page.locator("[data-live-state]")).to_have_text("live")

    picture = page.screenshot(animations="disabled")

    assert len(picture) < MOST_BYTES
    if screenshots is not None:
        screenshots.mkdir(exist_ok=True)
        (screenshots / f"{name}.png").write_bytes(picture)
    assert f"docs/screenshots/{name}.png" in (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
