"""What all commands share: who signs, and what a declared command is given."""

from __future__ import annotations

import os
import pwd
from typing import Any

import faust
import pytest
from faust.cli import option

from app.commands.terminal import Terminal, add_command, command, signed

ME = pwd.getpwuid(os.getuid()).pw_name


def test_who_gives_no_name_signs_as_the_user_of_the_operating_system() -> None:
    assert signed(None) == ME
    assert signed(" ada ") == "ada"


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\u202eb", "x" * 201])
def test_a_name_that_is_none_ends_the_command_with_one_line(name: str) -> None:
    with pytest.raises(SystemExit, match=r"\Ainnervate: by: [^\n]+\Z"):
        signed(name)


async def test_a_command_gets_its_parts_before_what_is_typed() -> None:
    given: list[Any] = []

    @command(option("--limit", default=50))
    async def list_letters(terminal: Terminal, database_url: str, limit: int) -> None:
        """List letters."""
        given.extend([terminal, database_url, limit])

    added: Any = None

    class App(faust.App):
        def command(self, *options: Any, **kwargs: Any) -> Any:
            def add(function: Any) -> Any:
                nonlocal added
                added = super(App, self).command(*options, **kwargs)(function)
                return added

            return add

    add_command(App("any", broker="kafka://127.0.0.1:1"), list_letters, "postgresql://x/")
    terminal: Any = object()
    await added.run(terminal, limit=7)

    typed = added._click  # noqa: SLF001 - what Faust makes of it
    assert (typed.name, typed.help) == ("list-letters", "List letters.")
    assert given == [terminal, "postgresql://x/", 7]
