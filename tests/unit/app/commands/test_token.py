"""`token`: what is shown once opens what the setting then holds."""

from __future__ import annotations

import json

import pytest

from app.commands.token import token
from app.settings import Settings
from app.web.tokens import find_token


class Paper:
    """A terminal that keeps what is printed."""

    def __init__(self, *, json: bool) -> None:
        self.json = json
        self.printed: list[str] = []

    def say(self, message: str) -> None:
        self.printed += message.splitlines()

    def tabulate(self, *_: object, **__: object) -> str:
        raise AssertionError


@pytest.mark.parametrize("role", ["read", "operate", "approve"])
async def test_a_token_that_is_made_opens_what_the_line_says(role: str) -> None:
    paper = Paper(json=False)
    await token.run(paper, name="anna", role=role)
    made, line = paper.printed[1], paper.printed[-1]

    access = Settings(_env_file=None, api_tokens=line).access
    found = find_token(made, access.tokens)

    assert found is not None
    assert (found.name, found.role.word) == ("anna", role)
    assert made not in line


async def test_a_program_reads_both() -> None:
    paper = Paper(json=True)
    await token.run(paper, name="anna", role="read")
    [shown] = map(json.loads, paper.printed)
    access = Settings(_env_file=None, api_tokens=shown["api_tokens"]).access
    assert find_token(shown["token"], access.tokens) is not None
