"""The case of one failure of the demo, as a file that is read when its services are long gone."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from app.commands.terminal import opened
from app.demo.report import settings_of
from app.sandbox import Sandbox
from app.story import case_file, case_of, sources_of, story_of

CASE_FILE: Final = Path("var/demo-case.html")


async def write_case(sandbox: Sandbox, order_id: str) -> None:
    """Write the story of the order with the records behind it, and what each agent knew, to `CASE_FILE`."""
    settings = settings_of(sandbox)
    async with opened(settings.database_url) as database:
        sources = sources_of(settings, database)
        case = await case_of(sources, await story_of(sources, "order", order_id))
    CASE_FILE.write_text(case_file(case), encoding="utf-8", newline="\n")
