"""By which code a recorded decision was made, beside that of the replay."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agents.replay.code import DecidingCode, changed_code

THEN = DecidingCode(
    version="1",
    rules_hash="00ff",
    settings={"window": {"events": 50}, "hold": {"hours": 24.0}, "set": "all"},
    release="0.4.0+aa811f1",
    libraries={"python": "3.11.9"},
)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"rules_hash": "11ff"}, ["rules"]),
        ({"version": "2", "release": "0.5.0+1"}, ["version", "release"]),
        ({"libraries": {"python": "3.13.0"}}, ["libraries"]),
        ({"settings": {**THEN.settings, "window": {"events": 7}}}, ["settings.window"]),
        ({"settings": {"window": {"events": 50}, "set": "all"}}, ["settings.hold"]),
        # A replay reads the whole log, whatever set it was that decided.
        ({"settings": {**THEN.settings, "set": "fraud"}}, []),
    ],
)
def test_what_changed_is_named(changes: dict[str, Any], found: list[str]) -> None:
    assert changed_code(THEN, replace(THEN, **changes)) == found


def test_code_that_nobody_said_is_not_known() -> None:
    assert changed_code(None, THEN) is None
    assert changed_code(THEN, None) is None
