"""Migrations of a domain: the numbered SQL files in a folder of its package."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Final

from agents.model.domain import Domain, DomainInvalid
from outbox.domain_migrations import ONLY_ADDS, Migration

_PLACE: Final = re.compile(r"([A-Za-z_][\w.]*):([\w-]+(?:/[\w-]+)*)")
_FILE: Final = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
#: A line meant for us.
_SAYING: Final = re.compile(r"^\s*--\s*innervate\b.*$", re.IGNORECASE | re.MULTILINE)


def read_migrations(domain: Domain) -> Sequence[Migration]:
    """The migrations of a domain by number. Raises `DomainInvalid` when one is missing or cannot be understood."""
    where = f"domain {domain.name}: migrations={domain.migrations!r}"
    place = _PLACE.fullmatch(domain.migrations or "")
    if place is None:
        raise DomainInvalid(f"{where} is no `package:folder`")
    try:
        folder = files(place[1]).joinpath(*place[2].split("/"))
        found = sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))
        texts = {name: folder.joinpath(name).read_text(encoding="utf-8") for name in found}
    except (ImportError, OSError, TypeError, UnicodeDecodeError) as error:
        raise DomainInvalid(f"{where} cannot be read: {type(error).__name__}: {' '.join(str(error).split())}") from None
    if not found:
        raise DomainInvalid(f"{where} has no file such as 0001_tables.sql")
    migrations = []
    for number, name in enumerate(found, 1):
        matched = _FILE.fullmatch(name)
        if matched is None or int(matched[1]) != number:
            raise DomainInvalid(f"{where}: expected {number:04}_*.sql in lower case, found {name}")
        migration = Migration(number=number, name=name.removesuffix(".sql"), sql=texts[name])
        if len(_SAYING.findall(migration.sql)) > migration.only_adds:
            raise DomainInvalid(f"{where}: {name}: what it may say to Innervate is `{ONLY_ADDS}`, as its first line")
        migrations.append(migration)
    return migrations
