"""Sentiment: how a customer sounds in a short English text, from -1 (furious) to 1 (delighted).

The words are weighed by TextBlob's lexicon, which comes with the library: no model, no download, no network. What it
is measurably blind to in the language of shops is added here: complaints without an adjective ("still waiting"),
refusals ("never again"), capitals. It errs on the careful side: a complaint outweighs any praise beside it, so irony
("Great, another delay") counts as the complaint it is, and so does a complaint that was settled in the same text. A
text in another language gives about 0, which means "cannot tell", not "content"; so do many complaints in words that
neither list holds. Fails with nothing.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any, Final

#: Characters judged. A longer text is judged by its beginning and its end, where people say what they feel.
MAX_CHARACTERS: Final = 2000
#: Texts kept judged, over all customers: at most some 20 MB. A window is read again with each decision.
_JUDGED_TEXTS: Final = 2048

#: The lexicon's own scale runs from about -0.4 ("not happy") over -0.7 ("bad") to -1 ("worst").
_FURY: Final = -0.8
_COMPLAINT: Final = -0.5
_WORRY: Final = -0.3
_PRAISE: Final = 0.5
#: Below this, either way, the lexicon found nothing to speak of.
_FAINT: Final = 0.1
#: Shouted or insisted on, a complaint weighs this much more.
_EMPHASIS: Final = 1.5


def _any_of(*phrases: str) -> re.Pattern[str]:
    """One of the phrases as whole words, unless it is denied just before."""
    return re.compile(rf"(?<!\bnot )(?<!\bnever )(?<!\bnothing )(?<!\bno )\b(?:{'|'.join(phrases)})\b")


#: Read in a text of lower case whose "n't" is written "not"; the first that is found counts.
_COMPLAINTS: Final = (
    (
        _FURY,
        _any_of(
            "never again",
            "(?:never|not) (?:\\w+ )?(?:shop|buy|order)(?:ping|ing)?(?: from)?(?: here| you| them)? again",
            "fed up",
            "scam(?:s|mers?)?|rip-?off|frauds(?:ters)?|liars?|lied",
            "unacceptable|disgrace(?:ful)?|shameful",
            "a joke|(?:are|is) (?:you|this) (?:kidding|joking|serious)",
            "waste of (?:money|time)",
        ),
    ),
    (
        _COMPLAINT,
        _any_of(
            "still (?:waiting|no|nothing|(?:has|have|does|do) not)",
            "still not (?:\\w+ )?(?:arrived|received|come|here|working|fixed|solved|answered|refunded)",
            "(?:nobody|no one|no-one) (?:\\w+ )?(?:answer|repl|respon|help|car|pick|call)\\w*",
            "no (?:answer|reply|response|refund|parcel|delivery)",
            "(?:want|get|give|have)(?: me)? my money back",
            "charged (?:\\w+ ){0,3}twice",
            "broken|damaged|defective|faulty|cracked|leaking|missing|ruin(?:ed|ing)",
            "(?:stopped|not|never) (?:working|work|works|worked|fit)",
            "f(?:ell|alls?|alling) (?:apart|to pieces)",
            "thanks for nothing|another delay",
            "(?:would|will|can|do) not recommend(?! (?:\\w+ ){0,4}enough)|do not (?:buy|order)",
            "disappoint(?:ed|ing|ment)",
            "ignored|lawyer|cheated",
        ),
    ),
    (
        _WORRY,
        _any_of("where(?: is|'s) my", "not (?:arrived|received|come)", "not what i ordered", "wrong (?:item|size)"),
    ),
)
_ALL_WELL: Final = re.compile(
    r"\b(?:(?:no|zero|never had (?:a|any)|without(?: a| any)?) (?:problem|issue|complaint|trouble)s?"
    r"|five stars|well done)\b"
)
_NOT: Final = re.compile(r"n['\u2019]t\b|(?<=\bcan)not\b", re.IGNORECASE)
_INSISTING: Final = re.compile(r"\?[?!]|!\?")


def polarity(text: str) -> float:
    """Judge a text: -1 (furious) to 1 (delighted), 0 when nothing is found or it is empty."""
    if len(text) > MAX_CHARACTERS:
        half = MAX_CHARACTERS // 2
        text = f"{text[:half]} {text[-half:]}"
    return _judge(text)


@lru_cache(maxsize=_JUDGED_TEXTS)
def _judge(text: str) -> float:
    # A run of white space costs the library's tokenizer the square of its length.
    plain = " ".join(_NOT.sub(" not", text).split())
    judged = _correct(_analyzer().analyze(plain).polarity, plain.lower())
    shouted = _is_shouted(text)
    insisted = _INSISTING.search(plain) is not None
    if abs(judged) < _FAINT and (shouted or insisted):
        judged = _WORRY
    elif judged < 0 and (shouted or insisted or "!!" in plain):
        judged *= _EMPHASIS
    return round(max(-1.0, min(1.0, judged)), 4)


@cache
def _analyzer() -> Any:
    # The library brings all of NLTK along, 15 MB: for workers that judge a text, when the first one comes.
    from textblob.sentiments import PatternAnalyzer  # noqa: PLC0415

    return PatternAnalyzer()


def _correct(found: float, lowered: str) -> float:
    for weight, phrases in _COMPLAINTS:
        if phrases.search(lowered):
            return min(found, weight)
    return max(found, _PRAISE) if _ALL_WELL.search(lowered) else found


def _is_shouted(text: str) -> bool:
    """Whether nearly all of it is in capitals; a short word such as OK is no shout."""
    letters = [character for character in text if character.isalpha()]
    return len(letters) >= 10 and sum(map(str.isupper, letters)) > 0.8 * len(letters)
