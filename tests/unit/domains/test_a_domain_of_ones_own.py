"""A domain that is not the shop, in a package of its own: it needs nothing but what `agents` gives."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import ci_catalogue
import myci
import pytest

PACKAGE = Path(myci.__file__).parent


def imported(file: Path) -> set[str]:
    """The top-level modules a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: file.stem)
def test_it_imports_nothing_of_innervate_but_the_public_surface(file: Path) -> None:
    strange = {name for name in imported(file) if name.partition(".")[0] not in {"myci", *sys.stdlib_module_names}}

    assert strange <= {"agents"}


def test_alone_it_brings_the_platform_and_no_shop() -> None:
    catalogue = ci_catalogue.CATALOGUE

    assert list(catalogue.agents) == ["flaky", "blame", "cascade", "incident"]
    assert list(catalogue.entities) == ["repository", "service"]
    assert list(catalogue.topics) == ["builds", "platform", "recovery"]
    assert list(catalogue.migrations) == ["ci"]


def test_beside_the_shop_the_platform_is_loaded_once() -> None:
    catalogue = ci_catalogue.BESIDE_THE_SHOP

    assert sorted(catalogue.agents) == sorted(
        [
            *("flaky", "blame", "cascade", "incident"),
            *("fraud", "fulfilment", "confirmation", "root_cause", "recovery", "bookkeeping"),
        ]
    )
    assert sorted(catalogue.entities) == ["customer", "order", "repository", "service"]
    assert sorted(catalogue.migrations) == ["ci", "shop"]
