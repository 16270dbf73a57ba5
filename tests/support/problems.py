"""What a worker answers when something is wrong with a request."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any


def problem(status: int, detail: str) -> dict[str, Any]:
    """The whole body of such an answer."""
    return {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
