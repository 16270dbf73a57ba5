"""Registration: gives every view its place in the worker's web server, and errors of the page their form."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from aiohttp import web
from faust.web import View as FaustView

from app.page.errors import said
from app.page.parts import Parts
from app.page.rendering import environment, html_response, is_partial
from app.page.security import ALWAYS
from app.page.static_files import PREFIX, StaticFiles
from app.page.view import Shown, View, Visit, read_query
from app.reads.shapes import NotFound
from app.web.callers import NOBODY, Role, caller_of
from app.web.negotiation import ERROR_PAGE
from app.web.server import WebServer
from app.web.sessions import offered_token, session_of
from app.worker.application import Innervate
from outbox.errors import DatabaseUnavailable

#: Answers a request; what stands in braces in the path comes by its name.
Handling = Callable[..., Awaitable[web.StreamResponse]]

#: Where somebody says who they are.
SIGN_IN: Final = "/ui/login"


class Page:
    """Every view, bound to what it needs."""

    def __init__(self, parts: Parts, views: Sequence[View]) -> None:
        self._parts = parts
        self.statics = StaticFiles()
        self._templates = environment(self.statics)
        #: Paths and titles of the navigation.
        self._navigation = [(view.path, view.title) for view in views if view.in_navigation]

    async def answer(self, view: View, request: web.Request, place: Mapping[str, str]) -> web.StreamResponse:
        """What a view answers. Raises what it raises."""
        asked = None if view.query is None else read_query(request, view.query)
        visit = Visit(request=request, parts=self._parts, caller=caller_of(request), place=place, query=asked)
        try:
            answer = await view.answer(visit)
        except NotFound as error:
            raise web.HTTPNotFound(reason=str(error)) from error
        if isinstance(answer, Shown):
            if visit.caller.role >= Role.OPERATE:
                with suppress(DatabaseUnavailable):  # nothing can be changed meanwhile
                    await self._parts.app.sessions.offer(request)
            # A long story takes a while to be written out, and others wait for the event loop.
            return await asyncio.to_thread(self._shown, view, visit, answer)
        if not answer.prepared:
            answer.headers.update(ALWAYS)
        return answer

    def error(self, request: web.Request, status: int, reason: str) -> web.StreamResponse:
        """The page of an error; `reason` says what exactly. Whoever has to say who they are is led there."""
        if status == web.HTTPUnauthorized.status_code:
            return _to_sign_in(request)
        headline, advice = said(status)
        context = {"status": status, "reason": reason, "headline": headline, "advice": advice}
        return self._response(request, "error.html", context, title=headline, section="", status=status)

    def _shown(self, view: View, visit: Visit, shown: Shown) -> web.Response:
        context = {**shown.context, "now": visit.now}
        title, section = shown.title or view.title, view.section or view.path
        return self._response(visit.request, shown.template, context, title=title, section=section, status=shown.status)

    def _response(
        self, request: web.Request, template: str, context: Mapping[str, Any], *, title: str, section: str, status: int
    ) -> web.Response:
        around = {
            "title": title,
            "section": section,
            "navigation": self._navigation,
            **self._who(request),
            "agent_set": self._parts.settings.agent_set,
        }
        whole = not is_partial(request)
        return html_response(self._templates, template, {**around, **context}, whole=whole, status=status)

    def _who(self, request: web.Request) -> Mapping[str, Any]:
        try:
            caller = caller_of(request)
        except KeyError:  # refused before anybody asked who it is
            caller = NOBODY
        return {
            "caller": caller,
            "is_read_only": self._parts.settings.read_only,
            "csrf": offered_token(request),
            "has_session": session_of(request) is not None,
        }


def add(
    app: Innervate, path: str, answer: Handling, *, method: str = "get", query: Collection[str] = (), role: Role
) -> None:
    """Let Faust's web server answer at this path to callers with this role; `query` are its parameters."""

    async def handle(_view: FaustView, request: web.Request, **place: str) -> web.StreamResponse:
        return await answer(request, **place)

    canonical = web.UrlDispatcher().add_resource(path).canonical
    app.query_parameters[canonical] = frozenset(query)
    app.required_roles[method.upper(), canonical] = role
    # Faust reads the methods of a page off its class, and takes plain functions only.
    app.page(path, name=path)(type("Page", (FaustView,), {method: handle}))


def web_application(app: Innervate) -> web.Application:
    """The web server's application: what its middlewares and signals share."""
    assert isinstance(app.web, WebServer), "the worker's own"
    return app.web.web_app


def register(app: Innervate, parts: Parts, views: Sequence[View]) -> None:
    """Add the views, the static files and the error pages."""
    page = Page(parts, views)
    web_application(app)[ERROR_PAGE] = page.error
    add(app, f"{PREFIX}/{{digest}}/{{path:.+}}", page.statics.answer, role=Role.NOTHING)
    for view in views:
        names = () if view.query is None else view.query.model_fields
        add(app, view.path, _bound(page, view), method=view.method, query=names, role=view.role)


def _bound(page: Page, view: View) -> Handling:
    async def answer(request: web.Request, **place: str) -> web.StreamResponse:
        return await page.answer(view, request, place)

    return answer


def _to_sign_in(request: web.Request) -> web.StreamResponse:
    if is_partial(request):
        # htmx follows a redirection by itself and would put the form into the page.
        return web.Response(status=401, headers={**ALWAYS, "HX-Redirect": SIGN_IN})
    return web.Response(status=303, headers={**ALWAYS, "Location": SIGN_IN, "Cache-Control": "no-store"})
