"""What the distribution installs: four packages that are its own, their SQL, and nothing else."""

from __future__ import annotations

from email import message_from_string
from importlib.metadata import metadata, packages_distributions, version
from pathlib import PurePosixPath
from zipfile import ZipFile

import pytest
from wheels import PACKAGES, ROOT, build_wheel

INFO = f"innervate-{version('innervate')}.dist-info"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    return ZipFile(build_wheel(tmp_path_factory.mktemp("packaging")))


def contents(wheel: ZipFile) -> set[str]:
    return {name for name in wheel.namelist() if not name.endswith("/")}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_belongs_to_this_distribution_alone(package: str) -> None:
    # Others ship packages of these names; pip lets the last one installed overwrite the first without a word.
    assert set(packages_distributions()[package]) == {"innervate"}


def test_the_wheel_holds_the_four_packages_and_nothing_else(wheel: ZipFile) -> None:
    top = {PurePosixPath(name).parts[0] for name in contents(wheel)}
    assert top == {*PACKAGES, INFO}


def test_the_wheel_holds_every_module_statement_migration_template_script_and_style_of_the_checkout(
    wheel: ZipFile,
) -> None:
    wanted = {
        file.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for file in (ROOT / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert {"outbox/sql/writer.sql", "outbox/migrations/versions/0001_first_slice.sql"} <= wanted
    assert {f"app/page/static/vendor/{name}" for name in ("htmx.min.js", "htmx.LICENSE", "vendored.json")} <= wanted
    assert {name for name in contents(wheel) if ".dist-info/" not in name} == wanted


@pytest.mark.parametrize("package", PACKAGES)
def test_a_type_checker_of_whoever_installs_it_reads_the_annotations(wheel: ZipFile, package: str) -> None:
    assert wheel.read(f"{package}/py.typed") == b""


def test_the_wheel_carries_its_licence(wheel: ZipFile) -> None:
    described = message_from_string(wheel.read(f"{INFO}/METADATA").decode())
    assert (described["License"], described.get_all("License-File")) == ("MIT", ["LICENSE"])
    assert wheel.read(f"{INFO}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()


def test_pytest_finds_the_plugin_of_an_installed_distribution(wheel: ZipFile) -> None:
    points = wheel.read(f"{INFO}/entry_points.txt").decode()
    assert "[pytest11]\ninnervate = app.pytest_plugin\n" in points


def test_the_command_line_is_installed_as_a_script(wheel: ZipFile) -> None:
    points = wheel.read(f"{INFO}/entry_points.txt").decode()
    assert "[console_scripts]\ninnervate = app.command_line:main\n" in points


def test_the_distribution_can_never_be_uploaded_by_mistake(wheel: ZipFile) -> None:
    described = message_from_string(wheel.read(f"{INFO}/METADATA").decode())
    assert described["Name"] == "innervate"
    assert described["Requires-Python"] == ">=3.11"
    assert "Private :: Do Not Upload" in described.get_all("Classifier", [])
    assert "Private :: Do Not Upload" in metadata("innervate").get_all("Classifier", [])
