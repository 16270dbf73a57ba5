"""Tokens: what a person or a program shows to be let in, of which only hashes are kept.

A token is 256 random bits, so its SHA-256 need not be slow to be of no use to whoever reads it. The one `API_TOKEN` is
a token without a name, with every role.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from app.web.callers import Caller, Role

#: Roles a token may have.
ROLES: Final = {role.word: role for role in Role if role is not Role.NOTHING}
#: Random bytes of a token.
TOKEN_BYTES: Final = 32
#: No colon and no comma, which the setting is written with; at most 100 characters.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")

#: Whether two digests are equal, in a time that does not depend on where they differ.
Compare = Callable[[bytes, bytes], bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """Whose a token is, and what it opens."""

    #: None for the one that everybody shares.
    name: str | None
    role: Role
    #: Of the token, in UTF-8.
    sha256: bytes

    @property
    def caller(self) -> Caller:
        """Who shows it."""
        return Caller(name=self.name, role=self.role, known_by=None if self.name is None else "token")


def parse_token(line: str) -> Token:
    """Read `name:role:sha256` of the setting. Raises ValueError, which tells nothing of what is there."""
    parts = [part.strip() for part in line.split(":")]
    if len(parts) != 3:
        raise ValueError("expected name:role:sha256, as `faust -A app token NAME ROLE` prints it")
    name, role, sha256 = parts
    if not _SHA256.fullmatch(sha256):
        raise ValueError("expected a SHA-256 in 64 lower-case hex digits behind the role, never the token itself")
    return Token(name=token_name(name), role=token_role(role), sha256=bytes.fromhex(sha256))


def token_name(name: str) -> str:
    """The name, if one may be called that. Raises ValueError."""
    if not _NAME.fullmatch(name):
        raise ValueError("a name has letters, digits and . _ @ + -, at most 100, and begins with a letter or digit")
    return name


def token_role(word: str) -> Role:
    """The role of this word. Raises ValueError."""
    if word not in ROLES:
        raise ValueError(f"there are the roles {', '.join(ROLES)}")
    return ROLES[word]


def shared_token(secret: str) -> Token:
    """The one token without a name."""
    return Token(name=None, role=Role.APPROVE, sha256=digest(secret))


def new_token() -> str:
    """A token nobody has."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def digest(secret: str) -> bytes:
    """What is kept of a token. What is no UTF-8 in a header comes as lone surrogates."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def find_token(secret: str, tokens: Iterable[Token], compare: Compare = hmac.compare_digest) -> Token | None:
    """Whose token this is. Every one there is is compared, whichever fits, so the time it takes tells nothing."""
    given, found = digest(secret), None
    for token in tokens:
        if compare(given, token.sha256):
            found = token
    return found
