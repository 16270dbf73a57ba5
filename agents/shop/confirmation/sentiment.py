"""Sentiment: whether a text that comes with good stars praises too, or may say something else.

Every word of it has to stand in a closed list of plain English praise (`vocabulary.py`). So irony ("Great, another
delay"), praise beside a complaint, questions, other languages, letters of other alphabets, emoji and whatever is long
are unclear without being recognised: nobody has to foresee the words of a complaint. Much honest praise is unclear too;
that costs a warmer word of thanks. Pure; the time is bounded by `MAX_CHARACTERS`. Fails with nothing.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import Final

from agents.shop.confirmation.vocabulary import HARMLESS, PHRASES, PRAISING, PRAISING_PHRASES

#: Longer texts are not read: praise and nothing else is short (own choice).
MAX_CHARACTERS: Final = 300
#: Texts kept judged, over all customers: below 2 MB. A window is read again with each decision.
_JUDGED_TEXTS: Final = 2048

#: What praise is written with. No question mark, no quotation marks, no brackets, no digits.
_PLAIN: Final = re.compile(r"[a-z \n,.!'-]*")
#: Dots that trail off say something that is not written.
_TRAILING: Final = re.compile(r"\.\s*\.")
_WORD: Final = re.compile(r"[a-z][a-z'-]*")
_PHRASE: Final = re.compile(rf"\b(?:{'|'.join(sorted(PHRASES, key=len, reverse=True))})\b(?!['-])")


class Words(StrEnum):
    """What a text says, as far as it can be known from its words."""

    #: Nothing was written.
    NONE = "none"
    #: Praise and nothing else.
    PRAISE = "praise"
    #: Whatever else.
    UNCLEAR = "unclear"


def words_of(text: str) -> Words:
    """Judge a text of any length and language."""
    if len(text) > MAX_CHARACTERS:
        return Words.UNCLEAR
    return _judge(text)


@lru_cache(maxsize=_JUDGED_TEXTS)
def _judge(text: str) -> Words:
    plain = text.strip().lower().replace("\u2019", "'")
    if not plain:
        return Words.NONE
    if not _PLAIN.fullmatch(plain) or _TRAILING.search(plain):
        return Words.UNCLEAR
    plain = " ".join(plain.split())
    phrases = _PHRASE.findall(plain)
    # What stands in place of a phrase keeps the words around it apart.
    words = _WORD.findall(_PHRASE.sub(",", plain))
    if any(word not in HARMLESS and word not in PRAISING for word in words):
        return Words.UNCLEAR
    praises = any(word in PRAISING for word in words) or any(phrase in PRAISING_PHRASES for phrase in phrases)
    return Words.PRAISE if praises else Words.UNCLEAR
