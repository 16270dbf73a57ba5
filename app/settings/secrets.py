"""Settings that hold a secret, and for each of them the file that holds it instead: `API_TOKEN_FILE` for `API_TOKEN`.

Orchestrators mount secrets as files, which no list of processes and no description of a container shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, model_validator
from pydantic_settings import BaseSettings

#: What the name of such a file ends with.
FILE: Final = "_file"
#: Largest file that is read, in bytes: some hundred tokens of people.
MOST_BYTES: Final = 64 * 1024

#: A setting that is there but empty, as compose files leave them, is one that is not set.
OptionalPath = Annotated[Path | None, BeforeValidator(lambda value: value or None)]


class SecretFiles(BaseSettings):
    """The files, each in place of the setting of its name. Raises pydantic's `ValidationError`."""

    api_token_file: OptionalPath = None
    api_tokens_file: OptionalPath = None
    database_url_file: OptionalPath = None
    kafka_security_client_secret_file: OptionalPath = None
    kafka_security_key_password_file: OptionalPath = None
    kafka_security_password_file: OptionalPath = None
    llm_api_key_file: OptionalPath = None

    @model_validator(mode="before")
    @classmethod
    def _read_files(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        found = dict(given)
        for name in SecretFiles.model_fields:
            if path := given.get(name):
                secret = name.removesuffix(FILE)
                if given.get(secret):
                    raise ValueError(f"{name.upper()}: {secret.upper()} is set as well: leave one of them out")
                found[secret] = _read(name, Path(path))
        return found


def _read(name: str, path: Path) -> str:
    """What the file says, without the end of its line. Raises ValueError, which never holds any of it."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        text = content.decode().rstrip("\r\n")
    except OSError as error:
        raise ValueError(f"{name.upper()}: {error.strerror or 'cannot be read'}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{name.upper()}: the file is not UTF-8") from None
    if not text or len(content) > MOST_BYTES or "\0" in text:
        raise ValueError(f"{name.upper()}: expected a secret of 1 to {MOST_BYTES} bytes in the file")
    return text
