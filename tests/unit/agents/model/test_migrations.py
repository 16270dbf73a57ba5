"""Migrations of a domain are read from the package that brings them, wherever it is installed."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from agents.model.domain import Domain, DomainInvalid
from agents.model.migrations import read_migrations

Package = Callable[[str, Mapping[str, str | bytes]], None]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """Make a package that can be imported, with these files in its folder `migrations`."""

    def make(name: str, files: Mapping[str, str | bytes]) -> None:
        folder = tmp_path / name / "migrations"
        folder.mkdir(parents=True)
        (tmp_path / name / "__init__.py").touch()
        for file, text in files.items():
            (folder / file).write_bytes(text if isinstance(text, bytes) else text.encode())

    monkeypatch.syspath_prepend(tmp_path)
    return make


def domain(migrations: str) -> Domain:
    return Domain(name="ci", migrations=migrations)


def test_files_are_read_by_their_numbers_and_others_are_passed_over(package: Package) -> None:
    package("numbered", {"0002_b.sql": "SELECT 'ü'", "0001_a_1.sql": "SELECT 1", "README": "no migration"})

    found = read_migrations(domain("numbered:migrations"))

    assert [(each.number, each.name, each.sql) for each in found] == [
        (1, "0001_a_1", "SELECT 1"),
        (2, "0002_b", "SELECT 'ü'"),
    ]


def test_a_package_may_lie_in_an_archive_and_its_folder_within_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("zipped/__init__.py", "")
        written.writestr("zipped/sql/all/0001_first.sql", "SELECT 1")
    monkeypatch.syspath_prepend(archive)

    assert [each.name for each in read_migrations(domain("zipped:sql/all"))] == ["0001_first"]


def test_a_migration_only_adds_when_its_first_line_says_so(package: Package) -> None:
    says_so = "-- innervate: only adds\n"
    package("adding", {"0001_a.sql": "SELECT 1", "0002_b.sql": f"{says_so}SELECT 2", "0003_c.sql": says_so.strip()})

    assert [each.only_adds for each in read_migrations(domain("adding:migrations"))] == [False, True, True]


@pytest.mark.parametrize(
    "text",
    [
        "-- innervate: only add\nSELECT 1",
        "-- Innervate: only adds\nSELECT 1",
        "--innervate only adds",
        "SELECT 1;\n-- innervate: only adds\nSELECT 2",
        "\n-- innervate: only adds",
        "-- innervate: only adds\n-- innervate: only adds",
    ],
)
def test_what_a_migration_says_otherwise_or_elsewhere_is_refused(package: Package, text: str) -> None:
    package("saying", {"0001_a.sql": text})

    with pytest.raises(DomainInvalid, match=r"0001_a\.sql: what it may say to Innervate is `-- innervate: only adds`"):
        read_migrations(domain("saying:migrations"))


@pytest.mark.parametrize(
    ("name", "files", "why"),
    [
        ("gap", {"0001_a.sql": "", "0003_c.sql": ""}, r"expected 0002_\*\.sql in lower case, found 0003_c\.sql"),
        ("twice", {"0001_a.sql": "", "0001_b.sql": ""}, r"expected 0002_\*\.sql in lower case, found 0001_b\.sql"),
        ("late", {"0002_b.sql": ""}, r"expected 0001_\*\.sql in lower case, found 0002_b\.sql"),
        ("upper", {"0001_A.sql": ""}, r"expected 0001_\*\.sql in lower case, found 0001_A\.sql"),
        ("unnumbered", {"first.sql": ""}, r"expected 0001_\*\.sql in lower case, found first\.sql"),
        ("none", {"readme.txt": ""}, r"has no file such as 0001_tables\.sql"),
        ("bytes", {"0001_a.sql": b"\xff"}, "cannot be read: UnicodeDecodeError"),
    ],
)
def test_what_is_no_row_of_migrations_is_refused_in_one_line(
    package: Package, name: str, files: Mapping[str, str | bytes], why: str
) -> None:
    package(f"refused_{name}", files)

    with pytest.raises(DomainInvalid, match=f"^domain ci: migrations='refused_{name}:migrations' .*{why}|{why}") as it:
        read_migrations(domain(f"refused_{name}:migrations"))
    assert "\n" not in str(it.value)


@pytest.mark.parametrize(
    "place", ["", "nowhere", ":migrations", "agents.shop:", "agents.shop:../secrets", "agents.shop:/etc", "1a:b"]
)
def test_a_place_that_is_none_is_refused(place: str) -> None:
    with pytest.raises(DomainInvalid, match="is no `package:folder`"):
        read_migrations(domain(place))


@pytest.mark.parametrize("place", ["no_such_package:migrations", "agents.shop:no_such_folder"])
def test_a_place_that_is_not_there_is_refused(place: str) -> None:
    with pytest.raises(DomainInvalid, match="cannot be read: "):
        read_migrations(domain(place))
