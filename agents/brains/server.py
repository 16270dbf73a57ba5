"""Server and Limits: where a model is asked, and how much one request may take. Values; a wrong one is a ValueError."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import SecretStr

#: Share of an attempt's usual time that must be left for one to begin. With less, a healthy server would look dead,
#: and would be paid for an answer that nobody waits for.
_WORTH_BEGINNING: Final = 0.5
#: The answer of a model that does not think aloud.
REPLY_TOKENS: Final = 1024
REPLY_BYTES: Final = 256 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """Where a model is asked. Raises ValueError when that cannot be written into a request, without repeating it."""

    #: Up to and with the version, as for OpenAI's own clients: `http://127.0.0.1:11434/v1`.
    url: str
    model: str
    api_key: SecretStr | None = None

    def __post_init__(self) -> None:
        import httpx  # noqa: PLC0415 - only where a model is asked

        try:
            url = httpx.URL(self.url)
        except httpx.InvalidURL:
            raise ValueError("the model's URL cannot be read") from None
        if url.scheme not in {"http", "https"} or not url.host:
            raise ValueError("the model's URL must begin with http:// or https:// and name a host")
        if url.userinfo or url.query or url.fragment:
            raise ValueError("the model's URL must hold no user, query or fragment: URLs are logged")
        if self.api_key is not None and not _fits_header(self.api_key.get_secret_value()):
            raise ValueError("the model's API key must be printable ASCII")

    @property
    def completions_url(self) -> str:
        """Where requests go."""
        return f"{self.url.rstrip('/')}/chat/completions"

    def headers(self) -> Mapping[str, str]:
        """What every request says; the only place of the key."""
        # Not compressed: the limit in bytes holds for what comes over the wire and for what it unpacks to.
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if self.api_key is not None and self.api_key.get_secret_value():
            headers["Authorization"] = f"Bearer {self.api_key.get_secret_value()}"
        return headers


def _fits_header(key: str) -> bool:
    return key.isascii() and (not key or key.isprintable())


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How much a request may take. The defaults suit a hosted model and short decisions."""

    #: Requests of this worker to the server at a time.
    concurrency: int = 64
    #: Requests that may wait for one of these places; with more, nobody waits. A queue that a model works off in a
    #: second or two is worth waiting for; a longer one would hold up the other agents of the worker.
    queue: int = 64
    attempts: int = 3
    connect_seconds: float = 3.0
    #: One attempt, from its connection to the last byte.
    attempt_seconds: float = 10.0
    #: Longest wait before the second attempt; doubles up to the cap. The wait itself is random ("full jitter").
    first_wait_seconds: float = 0.5
    wait_cap_seconds: float = 5.0
    #: Largest body of an answer.
    reply_bytes: int = REPLY_BYTES
    reply_tokens: int = REPLY_TOKENS
    #: Failures in a row after which the server is left alone, and for how long.
    circuit_failures: int = 5
    circuit_open_seconds: float = 15.0

    def least_seconds(self, deadline_seconds: float) -> float:
        """Time that must be left for an attempt to begin."""
        return _WORTH_BEGINNING * min(self.attempt_seconds, deadline_seconds)
