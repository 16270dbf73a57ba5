"""Which texts praise and say nothing else: those that were measured, those held out, and whatever anybody may write."""

from __future__ import annotations

import pytest
from counting import lines_run
from held_out import CONTENT, SPEAKS_AGAINST
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.shop.confirmation.sentiment import MAX_CHARACTERS, Words, words_of
from benchmarks import tone

LANGUAGES = ("english", "french", "german", "italian", "spanish")


@pytest.mark.parametrize("language", LANGUAGES)
def test_of_the_texts_that_were_measured_only_content_ones_praise(language: str) -> None:
    texts = tone.read(tone.TEXTS / f"{language}.tsv")
    assert len(texts) >= 40
    assert [
        each.text for each in texts if each.label != tone.CONTENT and words_of(each.text) is not Words.UNCLEAR
    ] == []


def test_content_texts_are_recognised_in_english_alone() -> None:
    found = {
        language: tone.passed(lambda text: words_of(text) is Words.PRAISE, tone.read(tone.TEXTS / f"{language}.tsv"))
        for language in LANGUAGES
    }
    assert {language: passed[tone.CONTENT] for language, passed in found.items()} == {
        "english": 26,
        "french": 0,
        "german": 0,
        "italian": 0,
        "spanish": 0,
    }


@pytest.mark.parametrize("language", SPEAKS_AGAINST)
def test_no_text_held_out_that_speaks_against_good_stars_praises(language: str) -> None:
    assert [text for text in SPEAKS_AGAINST[language] if words_of(text) is not Words.UNCLEAR] == []


def test_most_content_texts_held_out_are_recognised() -> None:
    found = [words_of(text) for text in CONTENT]
    assert (found.count(Words.PRAISE), found.count(Words.UNCLEAR)) == (14, 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", Words.NONE),
        (" \n\t ", Words.NONE),
        ("Great service.", Words.PRAISE),
        ("GREAT SERVICE!!!", Words.PRAISE),
        ("It\u2019s great", Words.PRAISE),
        ("Highly recommended", Words.PRAISE),
        ("No problems, great.", Words.PRAISE),
        ("Nice", Words.UNCLEAR),
        ("Thank you", Words.UNCLEAR),
        ("No problems", Words.UNCLEAR),
        ("Not great", Words.UNCLEAR),
        ("It isn't great", Words.UNCLEAR),
        ("Highly recommended to nobody", Words.UNCLEAR),
        ("Great, I received a rug", Words.UNCLEAR),
        ("I love the red one, this is blue", Words.UNCLEAR),
        ("Great, I was at home", Words.UNCLEAR),
        ("Perfect, delivery in a year", Words.UNCLEAR),
        ("Great price, little quality", Words.UNCLEAR),
        ("I have to phone the wonderful staff", Words.UNCLEAR),
        ("Great?", Words.UNCLEAR),
        ("Are you happy", Words.UNCLEAR),
        ("Great...", Words.UNCLEAR),
        ("Great. . .", Words.UNCLEAR),
        ("Great\u2026", Words.UNCLEAR),
        ('A "great" service', Words.UNCLEAR),
        ("Great service (not)", Words.UNCLEAR),
        ("Great, 2 weeks", Words.UNCLEAR),
        ("great-ish", Words.UNCLEAR),
        ("A so-called perfect shop", Words.UNCLEAR),
        ("gr\u00e9at", Words.UNCLEAR),
        ("great\u200b", Words.UNCLEAR),
        ("great\x00", Words.UNCLEAR),
        ("\ud800", Words.UNCLEAR),
    ],
)
def test_every_word_and_sign_has_to_be_one_that_praises_or_does_no_harm(text: str, words: Words) -> None:
    assert words_of(text) is words


def test_a_long_text_is_unclear_whatever_it_says() -> None:
    praise = "Great. " * (MAX_CHARACTERS // 7)
    assert words_of(praise) is Words.PRAISE
    assert words_of(praise + "x" * MAX_CHARACTERS) is Words.UNCLEAR
    assert words_of("Great. " * 1_000_000) is Words.UNCLEAR


@pytest.mark.parametrize("character", ["a ", "thank ", ". ", " ", "-", "great "])
def test_a_text_of_a_million_characters_costs_no_more_than_the_longest_that_is_read(character: str) -> None:
    longest = (character * MAX_CHARACTERS)[:MAX_CHARACTERS]
    assert lines_run(lambda: words_of(character * 1_000_000)) <= lines_run(lambda: words_of(longest))


@settings(max_examples=200)
@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(["great", "love", "service", "not", "but", "thank you", "never", "?", "kaputt"])).map(
        " ".join
    )
)
def test_a_word_that_is_not_on_the_list_makes_any_text_unclear(text: str) -> None:
    assert words_of(text) in Words
    for word in ("broken", "but", "kaputt", "\U0001f621", "?"):
        assert words_of(f"{text} {word}") is Words.UNCLEAR
        assert words_of(f"{word} {text}") is Words.UNCLEAR
