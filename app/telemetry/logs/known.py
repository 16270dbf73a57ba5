"""Known secrets: the values that a log hides wherever they stand, from the settings and the environment."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from psycopg2 import ProgrammingError
from psycopg2.extensions import parse_dsn
from pydantic import SecretStr

from app.telemetry.logs.redaction import is_secret

_PASSWORD: Final = re.compile(r"://[^\s/?#@:]*:([^\s/?#]+)@")


def secrets_in(settings: Mapping[str, object], environment: Mapping[str, str]) -> Collection[str]:
    """What is secret: settings that are declared so, passwords in addresses, variables whose names say so.

    What stands in the address of PostgreSQL as a user, a host or a database as well is none: it is in every line.
    """
    address = _parts_of(str(settings.get("database_url", "")))
    password = address.pop("password", "")
    declared = [value.get_secret_value() for value in settings.values() if isinstance(value, SecretStr)]
    named = [secret for name, value in environment.items() for secret in _in_variable(name, value)]
    return {secret for secret in (password, *declared, *named) if secret} - set(address.values())


def _parts_of(address: str) -> dict[str, str]:
    try:
        return dict(parse_dsn(address))
    except ProgrammingError:
        return {}  # the settings say so


def _in_variable(name: str, value: str) -> Iterator[str]:
    if is_secret(name):
        yield value
        if name.upper().endswith("HEADERS"):
            # `name=value,name=value`, as OpenTelemetry has them.
            yield from (each.partition("=")[2].strip() for each in value.split(","))
    yield from _PASSWORD.findall(value)
