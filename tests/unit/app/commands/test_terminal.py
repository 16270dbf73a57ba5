"""What all commands share: who signs, and what a declared command is given."""

from __future__ import annotations

import os
import pwd
from types import SimpleNamespace
from typing import Any

import click
import faust
import pytest
from faust.cli import option

from app.commands.terminal import Terminal, add_command, command, signed
from outbox.operator_actions import Operator

ME = pwd.getpwuid(os.getuid()).pw_name


def test_who_gives_no_name_signs_as_the_user_of_the_operating_system() -> None:
    assert signed(None, None) == Operator(name=ME, known_by="command_line")
    assert signed(" ada ", " late ") == Operator(name="ada", known_by="command_line", reason="late")


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\u202eb", "x" * 201])
def test_a_name_that_is_none_ends_the_command_with_one_line(name: str) -> None:
    with pytest.raises(SystemExit, match=r"\Ainnervate: by: [^\n]+\Z"):
        signed(name, None)


@pytest.mark.parametrize("why", ["", "  ", "a\nb", "x" * 1001])
def test_a_reason_that_is_none_ends_the_command_with_one_line(why: str) -> None:
    with pytest.raises(SystemExit, match=r"\Ainnervate: reason: [^\n]+\Z"):
        signed("ada", why)


class App(faust.App):
    """Keeps the commands that are added to it."""

    def __init__(self) -> None:
        super().__init__("any", broker="kafka://127.0.0.1:1")
        self.added: list[Any] = []

    def command(self, *options: Any, **kwargs: Any) -> Any:
        def add(function: Any) -> Any:
            self.added.append(super(App, self).command(*options, **kwargs)(function))

        return add


async def test_a_command_gets_its_parts_before_what_is_typed() -> None:
    given: list[Any] = []

    @command(option("--limit", default=50))
    async def list_letters(terminal: Terminal, database_url: str, limit: int) -> None:
        """List letters."""
        given.extend([terminal, database_url, limit])

    app, terminal = App(), object()
    add_command(app, list_letters, "postgresql://x/")
    [added] = app.added
    await added.run(terminal, limit=7)

    typed = added._click  # noqa: SLF001 - what Faust makes of it
    assert (typed.name, typed.help) == ("list-letters", "List letters.")
    assert given == [terminal, "postgresql://x/", 7]


async def test_what_the_settings_do_not_know_ends_a_command_as_a_wrong_option_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    @command()
    async def look(_terminal: Terminal) -> None:
        raise click.BadParameter("no agent is called nobody")

    app = App()
    add_command(app, look)
    [added] = app.added
    with pytest.raises(SystemExit) as ended:
        await added.run(SimpleNamespace(ctx=click.Context(click.Command("look"))))

    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith("\nError: Invalid value: no agent is called nobody\n")
