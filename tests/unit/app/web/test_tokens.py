"""Tokens: of each only a hash is kept, and which one somebody holds is found without telling anything by time."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from app.web.callers import Caller, Role
from app.web.tokens import Token, find_token, new_token, parse_token, shared_token

SECRETS = ("anna's", "bert's", "carl's")
TOKENS = [
    parse_token(f"{name}:{role}:{hashlib.sha256(secret.encode()).hexdigest()}")
    for name, role, secret in zip(("anna", "bert", "carl"), ("approve", "operate", "read"), SECRETS, strict=True)
]


class Counted:
    """Compares as the product does, and keeps what was compared."""

    def __init__(self) -> None:
        self.compared: list[tuple[bytes, bytes]] = []

    def __call__(self, one: bytes, other: bytes) -> bool:
        self.compared.append((one, other))
        return hmac.compare_digest(one, other)


def test_a_line_says_whose_a_token_is_and_what_it_opens() -> None:
    assert [token.caller for token in TOKENS] == [
        Caller(name="anna", role=Role.APPROVE, known_by="token"),
        Caller(name="bert", role=Role.OPERATE, known_by="token"),
        Caller(name="carl", role=Role.READ, known_by="token"),
    ]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_token_is_found_by_itself_alone(secret: str) -> None:
    found = find_token(secret, TOKENS)
    assert found is TOKENS[SECRETS.index(secret)]
    for other in (secret[:-1], f"{secret} ", secret.upper(), found.sha256.hex()):
        assert find_token(other, TOKENS) is None


@pytest.mark.parametrize("secret", [*SECRETS, "nobody's", "", "größer", "\udcff", "a\x00b"])
def test_every_hash_is_compared_whole_whichever_token_is_shown(secret: str) -> None:
    counted = Counted()
    find_token(secret, TOKENS, counted)
    assert [other for _, other in counted.compared] == [token.sha256 for token in TOKENS]
    # Both sides are as long as a hash, so not even the length of what was given can be told.
    assert {len(one) for pair in counted.compared for one in pair} == {32}


def test_the_token_that_everybody_shares_names_nobody() -> None:
    assert shared_token("let-me-in") == Token(
        name=None, role=Role.APPROVE, sha256=hashlib.sha256(b"let-me-in").digest()
    )
    assert shared_token("let-me-in").caller == Caller(name=None, role=Role.APPROVE)
    assert not shared_token("let-me-in").caller.is_known


def test_a_new_token_has_256_bits_and_is_another_each_time() -> None:
    made = {new_token() for _ in range(100)}
    assert len(made) == 100
    assert {len(token) for token in made} == {43}


HASH = "0" * 64


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("a-token-itself", "expected name:role:sha256"),
        (f"anna:{HASH}", "expected name:role:sha256"),
        (f"anna:approve:{HASH}:x", "expected name:role:sha256"),
        ("anna:approve:the-token-itself", "expected a SHA-256"),
        (f"anna:approve:{HASH.replace('0', 'A')}", "expected a SHA-256"),
        (f"anna:admin:{HASH}", "there are the roles read, operate, approve"),
        (f"anna:nothing:{HASH}", "there are the roles read, operate, approve"),
        (f":approve:{HASH}", "a name has letters"),
        (f"an na:approve:{HASH}", "a name has letters"),
        (f"{'a' * 101}:approve:{HASH}", "a name has letters"),
        (f"anna\u202e:approve:{HASH}", "a name has letters"),
    ],
)
def test_a_line_that_is_none_is_refused_and_what_stands_in_it_is_not_repeated(line: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as refused:
        parse_token(line)
    assert "itself" not in str(refused.value).replace("never the token itself", "")
