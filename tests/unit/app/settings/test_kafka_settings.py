"""Settings of Kafka's security: what does not fit together stops the start, and the line names what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.settings import Settings

TOKENS: dict[str, Any] = {
    "kafka_security_sasl_mechanism": "OAUTHBEARER",
    "kafka_security_token_url": "https://identity.example/realms/kafka/token",
    "kafka_security_client_id": "worker",
    "kafka_security_client_secret": "secret",
}


def problem_of(**given: Any) -> str:
    with pytest.raises(ValidationError) as told:
        Settings(_env_file=None, **given)
    [problem] = told.value.errors(include_url=False)
    return f"{'.'.join(map(str, problem['loc']))}: {problem['msg'].removeprefix('Value error, ')}"


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_a_user_needs_a_name(protocol: str) -> None:
    assert problem_of(kafka_security_protocol=protocol) == (
        "kafka_security_protocol: SASL needs KAFKA_SECURITY_USERNAME"
    )


@pytest.mark.parametrize("missing", ["token_url", "client_id", "client_secret"])
def test_tokens_need_a_place_a_name_and_a_secret(missing: str) -> None:
    given = {**TOKENS, f"kafka_security_{missing}": ""}
    assert problem_of(kafka_security_protocol="SASL_SSL", **given) == (
        f"kafka_security_protocol: OAUTHBEARER needs KAFKA_SECURITY_{missing.upper()}"
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://identity.example/token",
        "https://identity.example:8443/token",
        "http://127.0.0.1:8080/token",
        "http://localhost:8080/token",
        "http://[::1]:8080/token",
    ],
)
def test_tokens_come_from_where_secrets_can_be_sent(url: str) -> None:
    given = {**TOKENS, "kafka_security_token_url": url}
    assert Settings(_env_file=None, kafka_security_protocol="SASL_SSL", **given).kafka_security_token_url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://identity.example/token",
        "http://127.0.0.1.example/token",
        "identity.example/token",
        "file:///token",
        "https:///token",
        "https://ada:secret@identity.example/token",
        "https://identity.example/token?tenant=1",
        "https://identity.example/token#top",
        "https://identity.example:port/token",
    ],
)
def test_and_from_nowhere_else(url: str) -> None:
    line = problem_of(kafka_security_protocol="SASL_SSL", **{**TOKENS, "kafka_security_token_url": url})
    assert line.startswith("kafka_security_token_url: expected https://")
    assert "secret@" not in line


@pytest.mark.parametrize("scope", [" kafka", "kafka  write", "kafka\nwrite", 'ka"fka'])
def test_scopes_are_words(scope: str) -> None:
    line = problem_of(kafka_security_token_scope=scope)
    assert line == "kafka_security_token_scope: expected scopes, separated by single spaces"


@pytest.mark.parametrize("name", ["cafile", "certfile", "keyfile", "token_cafile"])
def test_files_are_there(name: str) -> None:
    assert problem_of(**{f"kafka_security_{name}": "nowhere.pem"}) == f"kafka_security_{name}: no such file"
    empty: dict[str, Any] = {f"kafka_security_{name}": ""}
    assert getattr(Settings(_env_file=None, **empty), f"kafka_security_{name}") is None


def test_a_certificate_nobody_would_see_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.pem").touch()
    own = tmp_path / "own.pem"
    assert problem_of(kafka_security_certfile=own) == (
        "kafka_security_protocol: KAFKA_SECURITY_CERTFILE does nothing without SSL or SASL_SSL"
    )
    assert problem_of(kafka_security_keyfile=own, kafka_security_protocol="SSL") == (
        "kafka_security_protocol: KAFKA_SECURITY_KEYFILE does nothing without KAFKA_SECURITY_CERTFILE"
    )
