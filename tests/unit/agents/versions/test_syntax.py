"""Source without its layout."""

from __future__ import annotations

import ast
import hashlib

import pytest

from agents.versions import syntax


def canonical(source: str) -> bytes:
    return syntax.canonical(ast.parse(source))


WRITTEN = '''
def score(payment, limit=40):
    """Score it."""
    return f"{payment!r:>{limit}}a" "b" if payment.amount > limit else "ok"
'''


@pytest.mark.parametrize(
    "same",
    [
        WRITTEN + "# a comment\n",
        WRITTEN.replace("    return", "\n\n    # why\n    return"),
        WRITTEN.replace('"ok"', "'ok'"),
        WRITTEN.replace("payment.amount > limit", "(payment.amount > (limit))"),
        WRITTEN.replace("payment, limit=40", "payment,\n    limit = 40,\n"),
        WRITTEN.replace("    ", "\t"),
    ],
)
def test_layout_and_comments_change_nothing(same: str) -> None:
    assert canonical(same) == canonical(WRITTEN)


@pytest.mark.parametrize(
    "other",
    [
        WRITTEN.replace("40", "41"),
        WRITTEN.replace("40", "40.0"),
        WRITTEN.replace("> limit", ">= limit"),
        WRITTEN.replace('"ok"', 'b"ok"'),
        WRITTEN.replace("!r", "!s"),
        WRITTEN.replace("Score it.", "Score it well."),
        WRITTEN.replace("payment.amount", "payment.total"),
        WRITTEN + "x = 1\n",
    ],
)
def test_what_it_says_changes_it(other: str) -> None:
    assert canonical(other) != canonical(WRITTEN)


def test_it_is_the_same_on_every_python() -> None:
    source = '''
import re as r
from a.b import c as d, e

@dataclass(frozen=True)
class Past(Base, key=1):
    """Texts: größer, \\ud83e\\udee8."""
    x: int = 0x10
    def of(self, *args: int, k=None, **more) -> str:
        async def inner(): return [await y async for y in z if y]
        match args:
            case [1, *rest] | {"a": 2, **others} if rest: pass
            case Past(x=3): pass
            case _: pass
        try: assert x, f"a{x:{w}.2f}b{{}}" "c" f"{x=}"
        except* (A, B) as error: raise C from error
        finally: del x[1:2, ...]
        with a as b, c: lambda q=1, /, *, s: -q ** 2 if q not in s else ~q
        global g; g += 1_000; h: int; i = j = {**k, 1: 2}; l = {1, 2}; m = (yield)
        return 1e3 + 2j
'''
    expected = "1a248874dddf89e3d648e833b0c52c787e3dc2e438975defa106b7d18fae5dab"
    assert hashlib.sha256(canonical(source)).hexdigest() == expected


def test_an_expression_nested_deeper_than_calls_may_be_is_read() -> None:
    long = "x = " + " + ".join(["y"] * 900)

    assert canonical(long) != canonical(long + " + y")
