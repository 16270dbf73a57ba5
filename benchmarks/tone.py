"""Tone: which texts that come with five stars a judge of words would let be answered with cheer.

`python -m benchmarks.tone`. The texts in `tone_texts` are short, in the language of shops, written and labelled by hand
for this measurement; a file is a language. What counts first is how many texts pass that are not content ones (angry,
sarcastic, mixed, questions): none may. Then how many content ones pass. A judge whose library is not installed is left
out: they are no dependencies, `pip install textblob vaderSentiment afinn` brings them. No timing, so no runs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from agents.shop.confirmation.sentiment import Words, words_of

TEXTS: Final = Path(__file__).parent / "tone_texts"
CONTENT: Final = "content"
LABELS: Final = ("angry", "sarcastic", "mixed", "question", CONTENT)

Judge = Callable[[str], bool]

#: Words that are frequent in English and rare in the other languages measured.
_ENGLISH: Final = frozenset(
    {"a", "and", "are", "at", "be", "but", "for", "has", "have", "he", "i", "is", "it", "my", "not", "of", "on", "she"}
    | {"that", "the", "they", "this", "to", "very", "was", "were", "with", "you", "your"}
)


class Text(NamedTuple):
    """A text and what is to be seen in it."""

    label: str
    text: str


def read(path: Path) -> Sequence[Text]:
    """The texts of one language."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    texts = [Text(label, text) for label, text in rows]
    assert {each.label for each in texts} <= set(LABELS), path
    return texts


def judges() -> Iterator[tuple[str, Judge]]:
    """Every judge there is here: whether a text that comes with five stars may be answered with cheer."""
    yield "stars alone", lambda _: True
    for name, score, limit in _lexicons():
        yield f"{name}, not below {limit}", _above(score, limit)
        yield f"{name}, not below {limit}, English", _english_and(_above(score, limit))
    yield "closed list", lambda text: words_of(text) is Words.PRAISE


def _lexicons() -> Iterator[tuple[str, Callable[[str], float], float]]:
    if (library := _library("textblob.sentiments")) is not None:
        analyzer = library.PatternAnalyzer()
        for limit in (0.1, 0.5):
            yield "TextBlob", lambda text: float(analyzer.analyze(text).polarity), limit
    if (library := _library("vaderSentiment.vaderSentiment")) is not None:
        vader = library.SentimentIntensityAnalyzer()
        # Its own limit for "positive", and a strict one.
        for limit in (0.05, 0.6):
            yield "VADER", lambda text: float(vader.polarity_scores(text)["compound"]), limit
    if (library := _library("afinn")) is not None:
        afinn = library.Afinn(emoticons=True)
        for limit in (1, 3):
            yield "AFINN", lambda text: float(afinn.score(text)), limit


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        print(f"{name} is not installed: left out")
        return None


def _above(score: Callable[[str], float], limit: float) -> Judge:
    return lambda text: score(text) >= limit


def _english_and(judge: Judge) -> Judge:
    def both(text: str) -> bool:
        return not _ENGLISH.isdisjoint(text.lower().split()) and judge(text)

    return both


def passed(judge: Judge, texts: Sequence[Text]) -> Mapping[str, int]:
    """How many texts pass, by label."""
    return {label: sum(judge(each.text) for each in texts if each.label == label) for label in LABELS}


def measure() -> None:
    """Print the table: for each language `wrong + right`, the content texts that pass being right; then by label."""
    languages = {path.stem: read(path) for path in sorted(TEXTS.glob("*.tsv"))}
    texts = [each for some in languages.values() for each in some]
    print("| five stars and a text pass by | " + " | ".join((*languages, *LABELS)) + " |")
    print("|---" * (1 + len(languages) + len(LABELS)) + "|")
    sizes = [f"{sum(each.label != CONTENT for each in some)} + {_count(some, CONTENT)}" for some in languages.values()]
    print("| (texts) | " + " | ".join([*sizes, *(str(_count(texts, label)) for label in LABELS)]) + " |")
    for name, judge in judges():
        cells = []
        for some in languages.values():
            found = passed(judge, some)
            cells.append(f"{sum(found.values()) - found[CONTENT]} + {found[CONTENT]}")
        cells += [str(count) for count in passed(judge, texts).values()]
        print(f"| {name} | " + " | ".join(cells) + " |")


def _count(texts: Sequence[Text], label: str) -> int:
    return sum(each.label == label for each in texts)


if __name__ == "__main__":
    measure()
