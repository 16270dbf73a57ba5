"""What others wrote and we ship is what was taken from them, byte for byte, with its licence."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from vendored import FOLDERS, manifest, wrong_in

[PAGE, TESTS, SCHEMAS] = FOLDERS
#: Licences that let us ship the page's files in a wheel, and keep those of tests in the repository.
ACCEPTED = {PAGE: {"BSD-0-Clause", "MIT"}, TESTS: {"MPL-2.0"}, SCHEMAS: {"Apache-2.0"}}


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_file_is_the_one_that_was_taken(folder: Path) -> None:
    assert manifest(folder)
    assert wrong_in(folder) == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_package_has_a_licence_that_is_kept_beside_it(folder: Path) -> None:
    for package in manifest(folder):
        assert package["licence"] in ACCEPTED[folder]
        assert any(file["path"] == "LICENSE" for file in package["files"].values())


def test_a_file_that_was_changed_added_or_lost_is_told(tmp_path: Path) -> None:
    copy = shutil.copytree(PAGE, tmp_path / "vendor")
    with (copy / "htmx.min.js").open("ab") as script:
        script.write(b"\n")
    (copy / "uPlot.min.css").unlink()
    (copy / "stranger.js").touch()

    assert wrong_in(copy) == ["stranger.js: in no package", "uPlot.min.css: missing", "htmx.min.js: changed"]
