"""Composition: the application with its pages and its commands, the one place where all of them are put together."""

from __future__ import annotations

from importlib.util import find_spec

from app.commands import register_commands
from app.commands.terminal import add_command
from app.kafka.credentials import CredentialsUnusable
from app.page import register_page
from app.settings import Settings
from app.views import register_views
from app.worker.application import Innervate, require_compiled_streams


def create_app(settings: Settings) -> Innervate:
    """Put the application together.

    Raises `SystemExit` with one line when Faust cannot be relied on, or a certificate cannot be used.
    """
    require_compiled_streams()
    try:
        app = Innervate(settings)
    except CredentialsUnusable as error:
        raise SystemExit(f"innervate: {error}") from None
    register_commands(app)
    # The image of the worker has no assistant and no simulator.
    if find_spec("app.assistant") is not None:
        from app.assistant.command import mcp  # noqa: PLC0415

        add_command(app, mcp, app)
    if find_spec("app.simulator") is not None:
        from app.simulator.sending import simulate  # noqa: PLC0415

        add_command(app, simulate, settings)
    register_views(app)
    register_page(app)
    return app
