"""How a text is judged: a hand-labelled list, the words that count, and what no text can do.

The lists are in the words of reviews and messages to support, written for this test. `LISTED` was read while the
rules were written and shows that they hold; `UNSEEN` was written after them, never tuned for, and shows how far they
reach: hardly beyond their own words.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textblob.sentiments import PatternAnalyzer

from agents.shop.confirmation.sentiment import MAX_CHARACTERS, polarity

COMPLAINT, NEUTRAL, PRAISE = -1, 0, 1
LISTED = (
    (COMPLAINT, "Worst shop ever. I will never order here again."),
    (COMPLAINT, "Still waiting for my parcel after three weeks."),
    (COMPLAINT, "I'm not happy with the quality at all."),
    (COMPLAINT, "Never again!"),
    (COMPLAINT, "WHERE IS MY ORDER??? NOBODY ANSWERS!!!"),
    (COMPLAINT, "I want my money back."),
    (COMPLAINT, "The lamp arrived broken and the box was open."),
    (COMPLAINT, "Great, another delay. Thanks for nothing."),
    (COMPLAINT, "You charged me twice and nobody replies to my emails."),
    (COMPLAINT, "Terrible customer service, I waited an hour on the phone."),
    (COMPLAINT, "It stopped working after two days."),
    (COMPLAINT, "This is unacceptable. I have written four times."),
    (COMPLAINT, "Do not buy from these people, total scam."),
    (COMPLAINT, "I would not recommend this to anyone."),
    (COMPLAINT, "The shoes don't fit and the return costs more than the shoes. Very disappointed."),
    (COMPLAINT, "Wrong item delivered, second time now."),
    (COMPLAINT, "Cheap plastic, fell apart in a week."),
    (COMPLAINT, "I am really angry. Cancel my order NOW."),
    (COMPLAINT, "ARE YOU KIDDING ME"),
    (COMPLAINT, "Waste of money."),
    (COMPLAINT, "The driver was rude and left the parcel in the rain."),
    (COMPLAINT, "My refund has still not arrived although you promised it last month."),
    (COMPLAINT, "Nice photos, but the jacket doesn't look anything like them and smells awful."),
    (COMPLAINT, "I'm fed up with your excuses."),
    (PRAISE, "Fantastic service, arrived a day early!"),
    (PRAISE, "I love this jacket, it fits perfectly."),
    (PRAISE, "Not bad at all, better than I expected."),
    (PRAISE, "Thank you so much for the quick help."),
    (PRAISE, "Great quality and a fair price."),
    (PRAISE, "No problems whatsoever, would buy again."),
    (PRAISE, "Couldn't be happier with my new bike."),
    (PRAISE, "Everything works, my daughter is delighted."),
    (PRAISE, "Highly recommended."),
    (PRAISE, "BEST SHOP EVER!!!"),
    (PRAISE, "The support team solved it within minutes, thanks!"),
    (PRAISE, "Beautiful colours, exactly like in the picture."),
    (PRAISE, "Super fast delivery, well packed."),
    (PRAISE, "I can't complain, good value."),
    (PRAISE, "My parents were very happy with the flowers."),
    (PRAISE, "I was worried about the size but it is perfect."),
    (PRAISE, "Excellent! Will definitely order again."),
    (PRAISE, "The new kettle is wonderful, so quiet."),
    (PRAISE, "Never had a problem with this shop."),
    (PRAISE, "Five stars from me, well done."),
    (PRAISE, "Nothing to complain about, smooth from start to finish."),
    (PRAISE, "Refund came the next day, very fair. Thank you."),
    (NEUTRAL, "Can I change the delivery address of my order?"),
    (NEUTRAL, "Which sizes do you have in blue?"),
    (NEUTRAL, "The parcel arrived on Tuesday."),
    (NEUTRAL, "Do you ship to Norway?"),
    (NEUTRAL, "Please send me the invoice for my last order."),
    (NEUTRAL, "It is a table. It has four legs."),
    (NEUTRAL, "How do I reset my password?"),
    (NEUTRAL, "I ordered two but I only need one, can I return the other?"),
    (NEUTRAL, "Does the charger work with 110 volts?"),
    (NEUTRAL, "It is okay, does what it says."),
    (NEUTRAL, "I would like to pay by invoice."),
    (NEUTRAL, "What are your opening hours on Saturday?"),
    (NEUTRAL, "My new address is 12 Mill Lane."),
    (NEUTRAL, "Is this jacket waterproof?"),
)
UNSEEN = (
    (COMPLAINT, "Package says delivered but nothing was at my door, and the chat just disconnects."),
    (COMPLAINT, "Took forever to arrive and then it was the wrong colour."),
    (COMPLAINT, "Not worth the price."),
    (COMPLAINT, "The stitching came undone after one wash."),
    (COMPLAINT, "Avoid this seller."),
    (COMPLAINT, "I regret buying this."),
    (COMPLAINT, "It smells of chemicals and gave me a headache."),
    (COMPLAINT, "Why was my card charged before you shipped anything?!"),
    (COMPLAINT, "Third time I contact you about the same issue."),
    (COMPLAINT, "Returned it the same day."),
    (COMPLAINT, "You people are useless."),
    (COMPLAINT, "I expected more for this amount of money."),
    (PRAISE, "Exactly what I needed, thank you!"),
    (PRAISE, "Would happily buy from you again."),
    (PRAISE, "Really pretty earrings, my sister adores them."),
    (PRAISE, "Good value, sturdy and easy to assemble."),
    (PRAISE, "A pleasure to deal with."),
    (PRAISE, "The best coffee grinder I have owned."),
    (PRAISE, "Top service!"),
    (PRAISE, "It broke once but they replaced it free of charge. Great people."),
    (NEUTRAL, "Is the warranty valid in Spain?"),
    (NEUTRAL, "I have a question about order 4711."),
    (NEUTRAL, "Two pillows and one blanket, as ordered."),
    (NEUTRAL, "Can you combine both parcels?"),
)


def side(judged: float) -> int:
    if abs(judged) < 0.1:
        return NEUTRAL
    return PRAISE if judged > 0 else COMPLAINT


def library(text: str) -> float:
    return float(PatternAnalyzer().analyze(text).polarity)


@pytest.mark.parametrize(
    ("texts", "size", "by_library", "by_us"), [(LISTED, 60, 40, 58), (UNSEEN, 24, 14, 15)], ids=["listed", "unseen"]
)
def test_the_corrections_see_more_than_the_library_alone(
    texts: tuple[tuple[int, str], ...], size: int, by_library: int, by_us: int
) -> None:
    assert len(texts) == size
    assert sum(side(library(text)) == label for label, text in texts) == by_library
    assert sum(side(polarity(text)) == label for label, text in texts) == by_us


@pytest.mark.parametrize("text", [text for label, text in LISTED + UNSEEN if label == COMPLAINT])
def test_no_complaint_reads_as_praise(text: str) -> None:
    assert polarity(text) <= 0.2


@pytest.mark.parametrize("text", [text for label, text in LISTED + UNSEEN if label == PRAISE])
def test_no_praise_reads_as_a_complaint(text: str) -> None:
    assert polarity(text) >= 0


@pytest.mark.parametrize(
    ("text", "judged"),
    [
        ("I am happy", 0.8),
        ("I am not happy", -0.4),
        ("It isn't good", -0.35),
        ("It isn\u2019t good", -0.35),
        ("Never again", -0.8),
        ("The worst shop", -1.0),
        ("I am still waiting", -0.5),
        ("Still nothing here", -0.5),
        ("It has still not arrived", -0.5),
        ("I am still not sure about the colour", -0.25),
        ("Where is my parcel", -0.3),
        ("The box was broken", -0.5),
        ("It was not broken", 0.2),
        ("Cannot recommend it", -0.5),
        ("Can't recommend it enough", 0.0),
        ("No problem so far", 0.5),
    ],
)
def test_negation_and_the_words_of_complaints_count(text: str, judged: float) -> None:
    assert polarity(text) == pytest.approx(judged, abs=0.01)


@pytest.mark.parametrize(
    ("text", "judged"),
    [
        ("I AM STILL WAITING", -0.75),
        ("I am still waiting!!", -0.75),
        ("I am still waiting??", -0.75),
        ("I am still waiting!", -0.5),
        ("WHAT ABOUT THE PARCEL", -0.3),
        ("What about the parcel?!", -0.3),
        ("What about the parcel?", 0.0),
        ("SEND IT", 0.0),
        ("Hello!!!", 0.0),
        ("WONDERFUL SHOP", 1.0),
        ("A HAPPY CUSTOMER", 0.8),
        ("DON'T YOU SEE IT CAN'T WAIT", -0.3),
        ("NEVER AGAIN!!!", -1.0),
    ],
)
def test_shouting_makes_a_complaint_worse_but_praise_no_complaint(text: str, judged: float) -> None:
    assert polarity(text) == judged


def test_a_complaint_outweighs_the_praise_beside_it() -> None:
    assert polarity("Great, another broken lamp. Wonderful. Perfect.") == -0.5
    assert polarity("No problems before, but now I am still waiting.") == -0.5


@pytest.mark.parametrize(
    "text", ["", " ", "Ich bin so w\u00fctend auf euch", "Je suis furieux", "\U0001f620", "\x00", "\ud800"]
)
def test_what_cannot_be_read_is_neutral(text: str) -> None:
    assert polarity(text) == 0.0


def test_a_long_text_is_judged_by_its_beginning_and_its_end() -> None:
    filler = "x " * 250_000
    assert polarity(f"Never again. {filler}") == polarity(f"{filler} Never again.") == -0.8
    assert polarity(f"{filler} Never again. {filler}") == 0.0
    half = MAX_CHARACTERS // 2
    assert polarity("!" * half + "x" * MAX_CHARACTERS + "?" * half) == polarity("!" * half + " " + "?" * half)


@settings(max_examples=150)
@given(
    st.text(max_size=400)
    | st.lists(st.sampled_from(["not", "n't", "NEVER", "good", "!!", "?!", ":(", "\ud800", "still", "no"])).map(
        " ".join
    )
)
def test_every_text_is_judged_between_minus_one_and_one_and_always_alike(text: str) -> None:
    judged = polarity(text)
    assert -1 <= judged <= 1
    polarity("something else")
    assert polarity(text) == judged
