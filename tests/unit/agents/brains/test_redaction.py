"""Redaction: what is hidden, how equal values stay recognisable, and which characters no text keeps."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.brains.redaction import REDACTED_FIELDS, Mask, Redaction, plain

FORBIDDEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}


def mask(*data: dict[str, Any], fields: tuple[str, ...] = ("address", "email")) -> Mask:
    return Mask(Redaction(fields), data)


def test_the_default_hides_what_tells_who_a_customer_is() -> None:
    assert REDACTED_FIELDS == ("address", "email", "phone", "name", "device_id", "card_id", "ip")
    assert all(Redaction().hides(field) for field in REDACTED_FIELDS)
    assert not Redaction().hides("order_id")


def test_names_match_in_any_case_and_exactly() -> None:
    redaction = Redaction(["E-Mail"])
    assert redaction.hides("e-mail")
    assert redaction.hides("E-MAIL")
    assert not redaction.hides("email")
    assert not redaction.hides("e-mails")


def test_pseudonyms_are_numbered_by_first_appearance_and_equal_for_equal_values() -> None:
    known = mask()
    told = [known.pseudonym(value) for value in ("Elm 1", "Oak 2", "Elm 1", "elm 1")]
    assert told == ["[redacted 1]", "[redacted 2]", "[redacted 1]", "[redacted 3]"]


def test_values_of_other_kinds_have_pseudonyms_too_and_pass_for_no_text() -> None:
    known = mask()
    values = [17, "17", True, 1, ["a"], {"b": 1, "a": 2}, {"a": 2, "b": 1}]
    numbers = [known.pseudonym(value).strip("[]").removeprefix("redacted ") for value in values]
    assert numbers == ["1", "2", "3", "4", "5", "6", "6"]


def test_a_hidden_value_vanishes_where_another_text_quotes_it() -> None:
    known = mask({"address": "Elm 1, Ulm"})
    assert known.shown("send it to Elm 1, Ulm; not to Elm 1", 100) == "send it to [redacted 1]; not to Elm 1"
    assert known.pseudonym("Elm 1, Ulm") == "[redacted 1]"


def test_of_two_values_that_begin_alike_the_longer_one_is_replaced() -> None:
    known = mask({"address": "Elm 1"}, {"address": "Elm 1, Ulm"})
    assert known.shown("Elm 1, Ulm or Elm 1", 100) == "[redacted 1] or [redacted 2]"


def test_a_value_of_three_characters_is_hidden_in_its_field_alone() -> None:
    known = mask({"address": "Ulm"}, {"address": "Bonn"})
    assert known.shown("Ulm, Bonn", 100) == "Ulm, [redacted 1]"


def test_hidden_fields_are_found_at_any_depth_with_everything_in_them() -> None:
    data = {"order": [{"contact": {"EMAIL": "ada@example.com"}}], "address": {"lines": ["Elm 1", {"city": "Berlin"}]}}
    assert list(Redaction(["email", "address"]).values(data)) == ["ada@example.com", "Elm 1", "Berlin"]


def test_a_quotation_is_found_after_invisible_characters_became_spaces() -> None:
    assert mask({"address": "Elm\u200b1"}).shown("at Elm\u20601!", 100) == "at [redacted 1]!"


def test_what_is_hidden_is_replaced_before_a_text_is_cut() -> None:
    known = mask({"address": "Elm 1, Ulm"})
    assert known.shown("to Elm 1, Ulm and on", 8) == "to [red…"
    assert known.shown("Elm 1, Ulm" * 50 + "end", 20) == "[redacted 1][redact…"


def test_nothing_of_a_very_long_value_is_left() -> None:
    value = "secret " * 200
    assert mask({"address": value}).shown(f"it is {value}and more", 500) == "it is [redacted 1]"


def test_a_text_that_fits_is_shown_whole_and_one_character_more_is_cut() -> None:
    assert mask().shown("a" * 10, 10) == "a" * 10
    assert mask().shown("a" * 11, 10) == "a" * 9 + "…"


def test_strangers_cannot_write_a_pseudonym() -> None:
    known = mask({"address": "[redacted 7]"})
    assert known.shown("see [redacted 1] and [redacted 7]", 100) == "see (redacted 1] and [redacted 1]"


def test_a_pseudonym_is_not_searched_for_other_values() -> None:
    known = mask({"address": "Elm 1"}, {"address": "redacted"})
    assert known.shown("Elm 1, redacted", 100) == "[redacted 1], [redacted 2]"


def test_with_too_many_values_to_look_for_every_text_is_withheld() -> None:
    data = {"contacts": [{"email": f"c{number}@example.com"} for number in range(1001)]}
    assert mask(data).shown("c7@example.com wrote", 100) == "[redacted]"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a\tb\r\nc", "a b  c"),
        ("pay\u202eetanod\u202c", "pay etanod "),
        ("a\u200bb\ufeffc\u00add", "a b c d"),
        ("hi\U000e0069\U000e0067", "hi  "),
        ("line\u2028paragraph\u2029", "line paragraph "),
        ("wide\u3000and\u00a0hard", "wide and hard"),
        ("x\ufe01\U000e0101y\u3164z", "x  y z"),
        ("private \ue000", "private  "),
        ("👍🏽 ❤\ufe0f 🇩🇪 fein, größer, 良い, Да", "👍🏽 ❤  🇩🇪 fein, größer, 良い, Да"),
        ("👩\u200d💻", "👩 💻"),
    ],
)
def test_what_nobody_sees_becomes_a_space(text: str, seen: str) -> None:
    assert plain(text) == seen


@given(st.text())
def test_no_text_keeps_a_control_or_invisible_character_and_places_stay(text: str) -> None:
    seen = plain(text)
    assert len(seen) == len(text)
    assert not {unicodedata.category(each) for each in seen} & FORBIDDEN


@given(
    st.lists(st.text("ab\u200b", min_size=4, max_size=600), max_size=5),
    st.lists(st.text("ab \u200b", max_size=10), max_size=6),
    st.integers(20, 500),
    st.randoms(use_true_random=False),
)
def test_no_hidden_value_is_left_in_any_text(
    hidden: list[str], between: list[str], characters: int, random: Any
) -> None:
    text = "".join(each + (random.choice(hidden) if hidden else "") for each in between)
    shown = mask(*({"email": value} for value in hidden)).shown(text, characters)
    assert len(shown) <= characters
    sought = [quote for value in hidden if len(quote := plain(value).strip()) >= 4]
    assert not [quote for quote in sought if quote in shown]
