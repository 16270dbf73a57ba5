"""Syntax: what Python source says, without how it is laid out. Pure.

Comments, blank lines, quotes and brackets that change nothing are no part of it; docstrings are, for a model is told
some of them. The same source gives the same bytes on every Python that is supported, and from a wheel or a checkout:
`ast.dump` and `ast.unparse` promise neither.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Any, Final

#: Fields of nodes that say how something was written, or what its place says already.
_LAYOUT: Final = frozenset({"ctx", "kind", "type_comment", "type_ignores"})


def canonical(source: ast.AST) -> bytes:
    """What was parsed, in a form of its own."""
    written: list[str] = []
    # Not recursive: a long expression is nested deeper than Python calls may be.
    left: list[Any] = [source]
    while left:
        here = left.pop()
        if isinstance(here, ast.AST):
            fields = [(name, _value(here, name)) for name in here._fields if name not in _LAYOUT]
            # A field without a value is none: versions of Python differ in those they have.
            said = [(name, value) for name, value in fields if value is not None and value != []]
            written.append(f"{type(here).__name__}(")
            left.append(_Text(")"))
            for name, value in reversed(said):
                left += [value, _Text(f" {name}=")]
        elif isinstance(here, list):
            written.append("[")
            left.append(_Text("]"))
            for each in reversed(here):
                left += [_Text(","), each]
        else:
            # `repr` shows what is printable as it is, and versions differ in what that is.
            written.append(here.text if isinstance(here, _Text) else ascii(here))
    return "".join(written).encode()


class _Text:
    """What is written as it is."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def _value(node: ast.AST, name: str) -> Any:
    return list(_joined(node.values)) if isinstance(node, ast.JoinedStr) else getattr(node, name, None)


def _joined(parts: Sequence[ast.expr]) -> Iterator[ast.expr]:
    """The parts of an f-string, texts that follow each other as one: versions differ in where they cut."""
    text = ""
    for part in parts:
        if isinstance(part, ast.Constant):
            text += str(part.value)
            continue
        if text:
            yield ast.Constant(text)
        text = ""
        yield part
    if text:
        yield ast.Constant(text)
