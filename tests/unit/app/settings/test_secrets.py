"""Secrets: a file may hold each, and none is shown by anything that tells of settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.settings import Settings, load_settings
from app.settings.secrets import MOST_BYTES, SecretFiles

Load = Callable[..., Settings]

#: What hides a secret, and nothing else does; each has a file that may hold it instead.
SECRETS = sorted(name.removesuffix("_file") for name in SecretFiles.model_fields)
#: A value that each setting takes.
VALUES = {
    "api_tokens": "ada:approve:" + "5e5a3e" * 10 + "5e5a",
    "database_url": "postgresql://ada:sesame-5e5a3e@db/innervate",
}
SHA = "5e5a3e"


def value_of(name: str) -> str:
    return VALUES.get(name, "open-sesame-5e5a3e")


def shown(settings: Settings, name: str) -> str:
    found = getattr(settings, name)
    return (
        found.get_secret_value()
        if isinstance(found, SecretStr)
        else ",".join([found] if isinstance(found, str) else found)
    )


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Load:
    """Read the settings from this environment alone, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)

    def load_with(**environment: str) -> Settings:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return load_settings()

    return load_with


def test_every_setting_that_hides_its_value_can_be_a_file() -> None:
    hidden = {name for name, field in Settings.model_fields.items() if "Secret" in str(field.annotation)}
    assert hidden <= set(SECRETS)


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_file_says_it_in_place_of_the_setting(load: Load, tmp_path: Path, name: str, end: str) -> None:
    (tmp_path / "secret").write_bytes((value_of(name) + end).encode())
    assert shown(load(**{f"{name.upper()}_FILE": str(tmp_path / "secret")}), name) == value_of(name)


@pytest.mark.parametrize("name", SECRETS)
def test_the_file_may_be_named_in_the_dotenv_too(load: Load, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text(value_of(name))
    (tmp_path / ".env").write_text(f"{name.upper()}_FILE={tmp_path / 'secret'}\n")
    assert shown(load(), name) == value_of(name)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_in_two_places_stops_the_start(
    load: Load, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secret").write_text(value_of(name))
    with pytest.raises(SystemExit) as stopped:
        load(**{f"{name.upper()}_FILE": str(tmp_path / "secret"), name.upper(): value_of(name)})
    assert stopped.value.code == 2
    assert capsys.readouterr().err == (
        f"innervate: {name.upper()}_FILE: {name.upper()} is set as well: leave one of them out\n"
    )


def test_one_that_is_empty_is_not_set(load: Load, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("sesame")
    assert shown(load(API_TOKEN="", API_TOKEN_FILE=str(tmp_path / "secret")), "api_token") == "sesame"
    assert shown(load(API_TOKEN="other", API_TOKEN_FILE=""), "api_token") == "other"


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"a\0b", b"x" * (MOST_BYTES + 1)])
def test_a_file_without_a_secret_stops_the_start(
    load: Load, tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(SystemExit):
        load(API_TOKEN_FILE=str(tmp_path / "secret"))
    line = capsys.readouterr().err
    assert line.startswith("innervate: API_TOKEN_FILE: ")
    assert len(line) < 100


@pytest.mark.parametrize("path", ["missing", "."])
def test_a_file_that_cannot_be_read_stops_the_start(load: Load, path: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load(API_TOKEN_FILE=path)
    assert capsys.readouterr().err.startswith("innervate: API_TOKEN_FILE: ")


@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_is_shown_by_what_tells_of_settings(load: Load, name: str) -> None:
    settings = load(**{name.upper(): value_of(name)})
    assert shown(settings, name) == value_of(name)
    told = f"{settings!r} {settings} {[settings]}"
    if name != "api_tokens":  # hashes of what nobody can guess: the line with one is meant to be sent around
        assert SHA not in told


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("other", [{"WEB_PORT": "0"}, {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, {"WEB_BIND": "0.0.0.0"}])
def test_no_secret_is_shown_by_a_wrong_setting_beside_it(
    load: Load, name: str, other: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        load(**{name.upper(): value_of(name), **other})
    except SystemExit:
        assert SHA not in capsys.readouterr().err


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:5e5a3e/sesame@db/innervate",
        "postgresql://ada:5e5a3e#@db:54x/innervate",
        "postgresql://ada:5e5a3e@se:same@db/innervate",
        "host=db password=5e5a3e port=5e5a3e",
        "password='5e5a3e",
        "postgresql://ada:5e5a3e%@db/innervate",
    ],
)
def test_a_password_that_breaks_its_address_is_not_quoted(
    load: Load, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        load(DATABASE_URL=url)
    line = capsys.readouterr().err
    assert line.startswith("innervate: DATABASE_URL: ")
    assert SHA not in line


def test_secrets_are_no_part_of_what_is_written_as_json(load: Load) -> None:
    hidden = {name: value_of(name) for name in SECRETS if name not in VALUES}
    settings = load(**{name.upper(): value for name, value in hidden.items()})
    assert SHA not in json.dumps(settings.model_dump(mode="json"), default=str)
