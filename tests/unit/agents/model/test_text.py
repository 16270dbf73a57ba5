"""Text made safe to show: what strangers write forges no line and hides nothing."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.brains import redaction
from agents.model.text import escaped, is_plain, one_line, plain
from app.commands.terminal import pretty

#: Default_Ignorable_Code_Point as DerivedCoreProperties.txt of Unicode 16 and 17 lists it, 4,174 code points.
DEFAULT_IGNORABLE = [
    range(0x00AD, 0x00AE), range(0x034F, 0x0350), range(0x061C, 0x061D), range(0x115F, 0x1161), range(0x17B4, 0x17B6),
    range(0x180B, 0x1810), range(0x200B, 0x2010), range(0x202A, 0x202F), range(0x2060, 0x2070), range(0x3164, 0x3165),
    range(0xFE00, 0xFE10), range(0xFEFF, 0xFF00), range(0xFFA0, 0xFFA1), range(0xFFF0, 0xFFF9), range(0x1BCA0, 0x1BCA4),
    range(0x1D173, 0x1D17B), range(0xE0000, 0xE1000),
]  # fmt: skip
IGNORABLE = [chr(code) for codes in DEFAULT_IGNORABLE for code in codes]
#: Line breaks of every kind, escapes, other spaces, private and lone surrogate characters, blank symbols.
OTHERS = list("\0\a\b\t\n\v\f\r\x1b\x7f\x85\x9b\xa0\u1680\u2028\u2029\u3000\ue000\ud800\udcff\uffff\u2800\U0001d159")
UNSEEN = [*IGNORABLE, *OTHERS]
SEEN = "Ada paid 7,25 € for 良い größer Да 👍🏽 é e\u0301 🇩🇪 !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"


def test_the_list_of_ignorable_characters_is_whole() -> None:
    assert len(IGNORABLE) == 4174


@pytest.mark.parametrize("clean", [plain, redaction.plain], ids=["text", "prompt"])
def test_an_unseen_character_becomes_one_space(clean: Callable[[str], str]) -> None:
    assert [each for each in UNSEEN if clean(f"a{each}b") != "a b"] == []


def test_an_unseen_character_parts_words_and_is_gone_from_one_line() -> None:
    assert [each for each in UNSEEN if one_line(f"{each}a{each}{each}b{each}") != "a b"] == []


def test_an_unseen_character_is_shown_as_its_escape() -> None:
    shown = {each: escaped(f"a{each}b") for each in UNSEEN}
    assert [each for each, text in shown.items() if not text.isascii() or not text[1:-1].startswith("\\")] == []
    assert len(set(shown.values())) == len(UNSEEN), "two characters look the same"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("o-17\n\x1b[31mforged", r"o-17\n\u001b[31mforged"),
        ("\u202egnp.exe\u3164", r"\u202egnp.exe\u3164"),
        ("tag \U000e0041", r"tag \udb40\udc41"),
        ("del \x7f", r"del \u007f"),
        ("half \ud83d", r"half \ud83d"),
        (SEEN, SEEN),
        ("", ""),
    ],
)
def test_an_escape_tells_which_character_was_there(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_what_can_be_seen_stays_as_it_is() -> None:
    assert (plain(SEEN), redaction.plain(SEEN), one_line(SEEN)) == (SEEN, SEEN, SEEN)
    assert is_plain(SEEN)


def test_a_text_with_one_unseen_character_is_not_plain() -> None:
    assert [each for each in UNSEEN if is_plain(f"a{each}b")] == []


def test_pretty_json_has_lines_of_its_own_alone() -> None:
    assert pretty({"id": "a\u2028\u3164\x7fb", "n": 1}) == '{\n  "id": "a\\u2028\\u3164\\u007fb",\n  "n": 1\n}'


@given(st.text())
def test_no_text_keeps_what_python_cannot_print(text: str) -> None:
    for shown in (plain(text), one_line(text), escaped(text)):
        # Python 3.11 knows Unicode 14: what was assigned since is no control, format or separator to it.
        assert not {unicodedata.category(each) for each in shown} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    assert len(plain(text)) == len(text)
