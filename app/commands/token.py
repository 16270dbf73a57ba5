"""`token`: makes a token for a person or a program, shows it once, and says what the setting has to hold."""

from __future__ import annotations

import click
from faust.cli import argument

from app.commands.terminal import Terminal, command, document
from app.web.tokens import ROLES, digest, new_token, token_name


def _name(_context: click.Context, _parameter: click.Parameter, text: str) -> str:
    try:
        return token_name(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@command(argument("name", callback=_name), argument("role", type=click.Choice(list(ROLES))))
async def token(terminal: Terminal, name: str, role: str) -> None:
    """Make a token for somebody, and show it once."""
    made = new_token()
    line = f"{name}:{role}:{digest(made).hex()}"
    if terminal.json:
        terminal.say(document({"token": made, "api_tokens": line}))
        return
    terminal.say(f"token for {name}, shown this once:\n{made}\n")
    terminal.say(f"add to API_TOKENS on every worker, separated by a comma, and start them again:\n{line}")
