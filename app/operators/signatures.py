"""Signatures: who is recorded for a change that was asked for by HTTP."""

from __future__ import annotations

from aiohttp import web

from agents.model.text import escaped
from app.operators.approvals import NotSigned, SignedForm
from app.web.callers import Caller
from outbox.operator_actions import Operator


def operator_of(form: SignedForm, caller: Caller) -> Operator:
    """Who asks: by the name they are known by, else by their own account. Raises 422 without any, or for another."""
    name, known_by = (caller.name, caller.known_by) if caller.is_known else (None, None)
    try:
        return form.signed_by(name, known_by=known_by or "own_account", role=caller.role.word)
    except NotSigned as error:
        raise web.HTTPUnprocessableEntity(reason=escaped(str(error))) from error
