"""Where the programs of a wheel are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.sandbox.process import wheel_directory


def test_a_wheel_that_is_installed_by_links_is_found_where_it_really_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, linked = tmp_path / "kept" / "some_wheel", tmp_path / "linked"
    kept.mkdir(parents=True)
    (kept / "__init__.py").touch()
    linked.mkdir()
    (linked / "some_wheel").symlink_to(kept)
    monkeypatch.syspath_prepend(linked)

    assert wheel_directory("some-wheel", "some_wheel") == kept.resolve()
