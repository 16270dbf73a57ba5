"""Retry-After: how long a server asks to be left alone (RFC 9110, 10.2.3). Pure; what cannot be read is None."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

#: Some servers say fractions of a second, which the RFC does not know.
_SECONDS: Final = re.compile(r"\d{1,9}(?:\.\d{1,9})?")


def retry_after_seconds(header: str | None, *, now: datetime) -> float | None:
    """Read the header: seconds, or an HTTP date, which counts from `now`. A date that has passed gives 0."""
    if header is None:
        return None
    text = header.strip()
    if _SECONDS.fullmatch(text) and text.isascii():
        return float(text)
    until = http_date(text)
    return None if until is None else max(0.0, (until - now).total_seconds())


def http_date(text: str | None) -> datetime | None:
    """Read an HTTP date; None when it is none."""
    try:
        at = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError, IndexError):
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at
