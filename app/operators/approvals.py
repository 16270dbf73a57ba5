"""What a person may ask for and answer: the same by HTTP and on the command line."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from agents.model.text import escaped, is_plain
from outbox.errors import InnervateError
from outbox.operator_actions import KnownBy, Operator


class NotSigned(InnervateError):
    """Nobody is recorded as who asks."""


class NameMissing(NotSigned):
    """Whoever asks is not known, and does not say who they are."""


class AnotherName(NotSigned):
    """Whoever asks says another name than the one they are known by."""


def _printable(text: str) -> str:
    if not is_plain(text):
        raise ValueError("only printable characters")
    return text


class SignedForm(BaseModel):
    """What somebody asks for who says who they are, and why. Raises pydantic's `ValidationError`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    #: Who asks, by their own account; need not be said by somebody who is known.
    by: (
        Annotated[
            str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_printable)
        ]
        | None
    ) = None
    #: Why, for whoever reads it later.
    reason: (
        Annotated[
            str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000), AfterValidator(_printable)
        ]
        | None
    ) = None

    def signed_by(self, name: str | None, *, known_by: KnownBy, role: str | None = None) -> Operator:
        """Who is recorded: `name` where that is known, else who they say they are.

        Raises `NameMissing` and `AnotherName`.
        """
        if name is None and self.by is None:
            raise NameMissing("by: Field required")
        if name is not None and self.by not in {None, name}:
            raise AnotherName(f"by: you are known as {name}")
        return Operator(name=name or str(self.by), known_by=known_by, role=role, reason=self.reason)


class AnswerForm(SignedForm):
    """An answer. Raises pydantic's `ValidationError`."""

    #: The whole hash of what the answer is given to, in lower-case hex.
    content_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


def expected(error: ValidationError) -> str:
    """What is wrong with what somebody asked for, in one line; the first of it when there is more."""
    found = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, found["loc"]))[:40] or "body"
    return escaped(f"{where}: {found['msg'].removeprefix('Value error, ')}")
