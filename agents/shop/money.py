"""Money as people read it."""

from __future__ import annotations

from typing import Final

#: Digits of a currency's minor unit where they are not two (ISO 4217). A code is three letters: it matches as a whole.
_EXPONENTS: Final = (
    ("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF", 0),
    ("BHD IQD JOD KWD LYD OMR TND", 3),
    ("CLF UYW", 4),
)


def exponent_of(currency: str) -> int:
    """How many digits the minor unit of a currency has: 2 for EUR, 0 for JPY, 3 for KWD."""
    return next((digits for codes, digits in _EXPONENTS if currency in codes), 2)


def amount(minor: int, currency: str) -> str:
    """Write an amount of minor units with its ISO 4217 code: `12.50 EUR`, `1250 JPY`."""
    exponent = exponent_of(currency)
    whole, rest = divmod(minor, 10**exponent)
    return f"{whole}.{rest:0{exponent}} {currency}" if exponent else f"{whole} {currency}"
