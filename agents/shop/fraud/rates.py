"""Rates: what an amount is worth in euros, roughly, so that payments in several currencies can be compared.

Reference rates of the European Central Bank (averages of 2024, rounded to about three digits) and, where it publishes
none, the pegs to the US dollar and the euro. They decide nothing finer than "four times as much": a rate that is off by
a fifth moves such a threshold by a fifth. So currencies that lose more than that within a year (such as ARS, LBP, VES)
are left out: what has no rate is not compared, and the reasons of a verdict say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agents.shop.money import exponent_of

#: Units of the currency for one euro.
PER_EURO: Final[Mapping[str, float]] = {
    "EUR": 1.0,
    "AED": 3.97,
    "AUD": 1.64,
    "BGN": 1.96,
    "BHD": 0.407,
    "BRL": 5.83,
    "CAD": 1.48,
    "CHF": 0.953,
    "CLP": 1020.0,
    "CNY": 7.79,
    "COP": 4410.0,
    "CZK": 25.1,
    "DKK": 7.46,
    "GBP": 0.847,
    "HKD": 8.45,
    "HUF": 395.0,
    "IDR": 17200.0,
    "ILS": 4.01,
    "INR": 90.6,
    "ISK": 149.0,
    "JOD": 0.767,
    "JPY": 164.0,
    "KRW": 1480.0,
    "KWD": 0.332,
    "MAD": 10.8,
    "MXN": 19.8,
    "MYR": 4.95,
    "NOK": 11.6,
    "NZD": 1.79,
    "OMR": 0.416,
    "PEN": 4.06,
    "PHP": 62.0,
    "PLN": 4.31,
    "QAR": 3.94,
    "RON": 4.97,
    "RSD": 117.0,
    "SAR": 4.06,
    "SEK": 11.4,
    "SGD": 1.45,
    "THB": 38.2,
    "TND": 3.37,
    "TRY": 35.6,
    "TWD": 34.7,
    "UAH": 43.5,
    "USD": 1.08,
    "VND": 27100.0,
    "XAF": 656.0,
    "XOF": 656.0,
    "XPF": 119.0,
    "ZAR": 19.8,
}


#: Minor units to one unit of each currency, and such units to one euro.
_SCALES: Final[Mapping[str, tuple[int, float]]] = {
    currency: (10 ** exponent_of(currency), rate) for currency, rate in PER_EURO.items()
}


def euros(amount_minor: int, currency: str) -> float | None:
    """What an amount of minor units is worth in euros, roughly; None for a currency without a rate."""
    scale = _SCALES.get(currency)
    if scale is None:
        return None
    units, rate = scale
    # Rounded, so that twenty times an amount is not a little less in another currency.
    return round(amount_minor / units / rate, 6)
