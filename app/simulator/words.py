"""Words: what customers write, and what failing services write, which is often generic and sometimes wrong."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.simulator.people import Temperament

_REVIEWS: Final[Mapping[Temperament, tuple[tuple[int, str], ...]]] = {
    "happy": (
        (5, "Wonderful! Arrived early and even nicer than in the pictures."),
        (5, "I love it. Great quality, lovely packaging, thank you!"),
        (4, "Very happy with this shop, I will gladly order again."),
    ),
    "neutral": (
        (3, "It is okay. Delivery took the time it takes."),
        (3, "Does what it should. The colour is a little different."),
        (4, "Fine for the price."),
    ),
    "angry": (
        (1, "Terrible. Nothing worked and nobody answered. Never again!"),
        (1, "What a disaster, I am really disappointed and angry."),
        (2, "Bad experience, the worst service I have had in years."),
    ),
}
_MESSAGES: Final[Mapping[Temperament, tuple[str, ...]]] = {
    "happy": (
        "Thank you so much for the quick help yesterday, you are great!",
        "The last parcel was perfect, could you gift-wrap the next one as nicely?",
    ),
    "neutral": (
        "Hello, when will my order be delivered?",
        "Could you send the invoice to my work address as well?",
    ),
    "angry": (
        "This is unacceptable. I have been waiting for days and nobody tells me anything!",
        "I am furious. Sort this out now or I want my money back!",
    ),
}

#: Angry all of them: by irony, with praise in it, in other languages, without a single strong word.
_HARD_TO_READ: Final = (
    "Oh wonderful, another week without my parcel. Great job, really.",
    "Five stars for your talent to ignore every single mail of mine.",
    "I love the mug. I would love it even more in one piece.",
    "Thanks for nothing!",
    "The tea is excellent. That you charged me twice and keep silent about it is not.",
    "Ich warte seit drei Wochen und niemand antwortet. Eine Frechheit!",
    "Na bravo, schon wieder das falsche Paket. Vielen Dank auch.",
    "C'est inadmissible, je veux être remboursé tout de suite.",
    "Encore en retard... merci beaucoup, vraiment magnifique.",
    "Esto es una vergüenza, nadie me ha devuelto el dinero.",
    "Pacco rotto e nessuna risposta: mai più!",
    "Belachelijk. Al drie keer gebeld en nog steeds geen pakket.",
    "So this is what you call express delivery?",
    "I have told you four times now where I live.",
    "👏👏👏 slow clap for your support team",
)
_POLITE: Final = ("Thank you for your answer.", "Ok, thanks.", "Danke für die Rückmeldung.", "Merci d'avance.")


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a failing service reports."""

    service: str
    step: str
    error: str
    message: str


#: Where each failure surfaces, often not where it began: service and step.
_PLACES: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "stock_shortage": (("inventory", "pick"), ("shipping", "render_label"), ("shipping", "pack")),
    "duplicate_capture": (("accounting", "reconcile"), ("payments", "settle")),
    "label_failed": (("shipping", "book"), ("notifications", "send_tracking")),
    "address_invalid": (("shipping", "print_label"), ("notifications", "send_tracking")),
    "price_changed": (("payments", "settle"), ("accounting", "invoice")),
}
#: Texts that fit a failure.
_HONEST: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "stock_shortage": (("PickFailed", "fewer pieces on the shelf than wanted"), ("Shortage", "sku not available")),
    "duplicate_capture": (("BalanceMismatch", "captured twice what was invoiced"), ("Unmatched", "no invoice found")),
    "label_failed": (("CarrierUnavailable", "carrier answered 503"), ("LabelMissing", "no label to print")),
    "address_invalid": (("AddressRejected", "carrier does not know the street"), ("RoutingError", "no depot found")),
    "price_changed": (("AmountMismatch", "captured amount differs from the invoice"), ("TotalsDiffer", "check lines")),
}
#: Texts that say nothing, or blame a bystander.
_VAGUE: Final = (
    ("InternalError", "internal error"),
    ("Timeout", "upstream timed out after 30000 ms"),
    ("NullPointerException", "NullPointerException in LabelRenderer"),
    ("RuntimeError", "unexpected state"),
    ("HTTP 500", "see log for details"),
)
#: The steps of the services that fail after a change of their own, or for no reason anybody can see.
STEPS: Final[Mapping[str, str]] = {
    "payments": "capture",
    "inventory": "pick",
    "pricing": "quote",
    "shipping": "book",
    "notifications": "send_receipt",
    "accounting": "post_invoice",
}


def complaint(chance: random.Random, failure: str) -> Complaint:
    """What the service says in which the failure of an order surfaces; a quarter of the texts point elsewhere."""
    service, step = chance.choice(_PLACES[failure])
    share = chance.random()
    if share < 0.4:
        error, message = chance.choice(_VAGUE)
    elif share < 0.75:
        error, message = chance.choice(_HONEST[failure])
    else:
        error, message = chance.choice(_HONEST[chance.choice([name for name in _HONEST if name != failure])])
    return Complaint(service, step, error, message)


def outcry(chance: random.Random, service: str) -> Complaint:
    """What a service says that fails by itself; some texts blame the order."""
    texts: Sequence[tuple[str, str]] = _VAGUE if chance.random() < 0.7 else _HONEST[chance.choice(tuple(_HONEST))]
    error, message = chance.choice(texts)
    return Complaint(service, STEPS[service], error, message)


def suspicion(chance: random.Random, service: str) -> Complaint:
    """What a service says that fails by itself and blames the order's money or goods, more often than not."""
    texts: Sequence[tuple[str, str]] = _VAGUE if chance.random() < 0.3 else _HONEST[chance.choice(tuple(_HONEST))]
    error, message = chance.choice(texts)
    return Complaint(service, STEPS[service], error, message)


def at(chance: random.Random, service: str, failure: str) -> Complaint:
    """What this service says about the failure of an order; half of the texts say nothing."""
    error, message = chance.choice(_HONEST[failure] if chance.random() < 0.5 else _VAGUE)
    return Complaint(service, STEPS[service], error, message)


def review(chance: random.Random, mood: Temperament) -> tuple[int, str]:
    """Stars and the text that goes with them."""
    return chance.choice(_REVIEWS[mood])


def complaint_of_customer(chance: random.Random) -> str:
    """What an angry customer writes whose words do not show it."""
    return chance.choice(_HARD_TO_READ)


def politeness(chance: random.Random) -> str:
    """Thanks that settle nothing."""
    return chance.choice(_POLITE)


def message(chance: random.Random, mood: Temperament) -> str:
    """What a customer writes to support."""
    return chance.choice(_MESSAGES[mood])
