"""What axe-core finds wrong with a page for those who do not see it, or not all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page

AXE: Final = (Path(__file__).parent / "vendor/axe.min.js").read_text(encoding="utf-8")
#: What must not be there; see https://github.com/dequelabs/axe-core/blob/develop/doc/issue_impact.md
GRAVE: Final = ("serious", "critical")


def grave_findings(page: Page) -> list[str]:
    """Each serious or critical finding on the page as it is shown now: the rule, and where."""
    # Evaluated by the debugger: the page's own policy lets nobody add a script.
    page.evaluate(AXE)
    found: dict[str, Any] = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{each['impact']}: {each['id']} at {node['target']}: {node['failureSummary']}"
        for each in found["violations"]
        if each["impact"] in GRAVE
        for node in each["nodes"]
    ]
