"""Text that strangers wrote, made safe to show: no line break, escape or invisible character is left in it.

What counts as unseen is said here alone: all of Unicode's control, format, surrogate, private and unassigned
characters, every separator but the ordinary space, every Default_Ignorable_Code_Point (fillers, joiners, variation
selectors, tags), and what is drawn as nothing. They are those that the library `regex` knows, the same on every Python.
Pure.
"""

from __future__ import annotations

import json
from typing import Final

import regex

#: Symbols by their category, but nothing is drawn: the empty pattern of Braille and the null note head.
_BLANK: Final = r"\u2800\U0001d159"
_UNSEEN: Final = regex.compile(rf"[\p{{C}}\p{{Z}}\p{{Default_Ignorable_Code_Point}}{_BLANK}--[ ]]", regex.VERSION1)


def is_plain(text: str) -> bool:
    """Whether everything in the text can be seen and stands in one line."""
    return _UNSEEN.search(text) is None


def plain(text: str) -> str:
    """The text with a space for each unseen character: one for one, so places in it stay the same."""
    return str(_UNSEEN.sub(" ", text))


def one_line(text: str) -> str:
    """The words of the text with one space between them; for sentences that are read and not compared."""
    return " ".join(plain(text).split())


def escaped(text: str) -> str:
    r"""The text with a JSON escape (`\n`, `\u200b`) for each unseen character, so that what was there can be seen.

    For logs and terminals, and wherever somebody compares what is shown.
    """
    return str(_UNSEEN.sub(lambda unseen: _escape(unseen[0]), text))


def _escape(character: str) -> str:
    # JSON may leave DEL as it is.
    return r"\u007f" if character == "\x7f" else json.dumps(character)[1:-1]
