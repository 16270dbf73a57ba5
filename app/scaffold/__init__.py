"""Scaffold: a small domain that runs, with its test, as a package in the current folder."""

from __future__ import annotations

import builtins
import keyword
import re
import shutil
import sys
from collections.abc import Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Final

from tables.errors import Fatal

#: Longer names would not fit into the lines of the templates.
MAX_NAME: Final = 24

_NAME: Final = re.compile(rf"[a-z][a-z0-9_]{{0,{MAX_NAME - 1}}}")
#: What the written modules call something of their own or of others'.
_TAKEN: Final = frozenset({"conftest", "failure", "failures", "history", "judge", "reason", "suspected", "timedelta"})
#: Template of each file, and where it goes.
_FILES: Final = {
    "package.py": "__init__.py",
    "domain.py": "domain.py",
    "test.py": "test_$name.py",
    "README.md": "README.md",
}


class NotWritten(Fatal):
    """Nothing was written; the message is one line that says why."""


def write_domain(name: str, folder: Path) -> Sequence[Path]:
    """Write the package `name` into the folder; returns its files, relative to it. Raises `NotWritten`."""
    _check_name(name)
    package = folder / name
    if package.exists() or package.is_symlink():
        raise NotWritten(f"{name} is there already")
    if name in sys.modules or find_spec(name) is not None:
        raise NotWritten(f"{name}: a module of this name is installed already, and Python would import that one")
    try:
        package.mkdir()
    except OSError as error:
        raise NotWritten(f"{name} cannot be written: {error.strerror}") from error
    try:
        return [_write(template, package, file, name).relative_to(folder) for template, file in _FILES.items()]
    except OSError as error:
        shutil.rmtree(package, ignore_errors=True)
        raise NotWritten(f"{name} cannot be written: {error.strerror}") from error


def place_of(name: str) -> str:
    """What `DOMAINS` is set to for a domain that was written."""
    return f"{name}.domain:{name}_domain"


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise NotWritten(f"{name!r}: expected lower-case letters, digits and _, a letter first, at most {MAX_NAME}")
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or hasattr(builtins, name) or name in _TAKEN:
        raise NotWritten(f"{name}: Python, or the code that would be written, calls something else so")


def _write(template: str, package: Path, file: str, name: str) -> Path:
    values = {
        "name": name,
        "Name": "".join(part.capitalize() for part in name.split("_")),
        "spoken": " ".join(filter(None, name.split("_"))),
        "place": place_of(name),
    }
    text = files(__name__).joinpath("templates", f"{template}.tmpl").read_text(encoding="utf-8")
    path = package / Template(file).substitute(values)
    path.write_text(Template(text).substitute(values), encoding="utf-8")
    return path
