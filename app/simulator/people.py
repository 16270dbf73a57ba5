"""People: the customers of the shop, what they like and how they take it when something goes wrong."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

Temperament = Literal["happy", "neutral", "angry"]

#: What the shop sells, with the price of one piece in minor units.
CATALOGUE: Final = {
    "tea-assam": 890,
    "tea-sencha": 1_250,
    "honey-lime": 990,
    "mug-blue": 1_490,
    "mug-stone": 1_790,
    "candle-fig": 2_190,
    "notebook-a5": 1_690,
    "pen-brass": 2_490,
    "apron-linen": 3_900,
    "towel-waffle": 2_900,
    "bowl-oak": 4_500,
    "teapot-iron": 5_900,
    "knife-petty": 6_900,
    "lamp-desk": 8_900,
    "pan-carbon": 7_400,
    "blanket-wool": 11_900,
}

_COUNTRIES: Final = {"DE": "EUR", "FR": "EUR", "IT": "EUR", "NL": "EUR", "ES": "EUR", "GB": "GBP", "PL": "PLN"}
_STREETS: Final = ("Mill Lane", "Station Road", "Rue Haute", "Lindenweg", "Via Roma", "Kerkstraat", "Calle Mayor")
#: Neighbours in the catalogue a customer keeps to, so that no honest basket is far beyond the usual one.
_FAVOURITES: Final = 4


@dataclass(slots=True)
class Customer:
    """Somebody who orders."""

    id: str
    country: str
    currency: str
    device: str
    method: str
    #: Lines of the usual basket.
    usual_lines: int
    favourites: tuple[str, ...]
    temperament: Temperament
    #: From when on the customer may order again.
    free_at: datetime

    def basket(self, chance: random.Random) -> dict[str, int]:
        """What the customer orders this time: pieces by sku."""
        lines = max(1, min(len(self.favourites), self.usual_lines + chance.choice((-1, 0, 0, 1))))
        return {sku: chance.choice((1, 1, 1, 2)) for sku in sorted(chance.sample(self.favourites, lines))}


def customer(chance: random.Random, number: int, free_at: datetime) -> Customer:
    """One customer, made up."""
    country = chance.choice(tuple(_COUNTRIES))
    first = chance.randrange(len(CATALOGUE) - _FAVOURITES + 1)
    return Customer(
        id=f"c-{number:04}",
        country=country,
        currency=_COUNTRIES[country],
        device=device(chance),
        method=chance.choice(("card", "card", "card", "paypal", "sepa")),
        usual_lines=chance.choice((1, 2, 2, 3)),
        favourites=tuple(CATALOGUE)[first : first + _FAVOURITES],
        temperament=chance.choices(("happy", "neutral", "angry"), (5, 3, 2))[0],
        free_at=free_at,
    )


def device(chance: random.Random) -> str:
    """The id of a device nobody has used before."""
    return f"d-{chance.getrandbits(40):010x}"


def address(chance: random.Random) -> str:
    """An address, for a parcel."""
    return f"{chance.randrange(1, 180)} {chance.choice(_STREETS)}"
