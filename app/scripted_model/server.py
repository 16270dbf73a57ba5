"""Scripted model: an OpenAI-compatible server on 127.0.0.1 that answers by a script, and misbehaves by name.

    python -m app.scripted_model.server --port 8123 --seed 7 --misbehave 0.2 --latency-seconds 0.5

No model is in it. A script is a function from a request to an answer; the one of the command line fills the schema of
the request with values drawn by the seed and the prompt (`app.scripted_model.answers`), so a run repeats whatever the
order of its requests. For tests and for the demo only: it checks no key and believes everything.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import orjson
from aiohttp import web

from app.scripted_model.answers import Told, filled
from app.scripted_model.misbehaviour import MISBEHAVIOURS, Misbehave, chat_completion
from app.worker.signals import end_in_order


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """One request to the model."""

    #: 1 for the first request with exactly this body, 2 for the second.
    times: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(repr=False)

    @property
    def system(self) -> str:
        """The system text."""
        return self._said_by("system")

    @property
    def user(self) -> str:
        """The user text."""
        return self._said_by("user")

    @property
    def schema(self) -> Mapping[str, Any]:
        """The JSON schema asked for; empty when none is."""
        asked = self.body.get("response_format", {}).get("json_schema", {}).get("schema", {})
        assert isinstance(asked, dict)
        return asked

    def _said_by(self, role: str) -> str:
        return "\n".join(each["content"] for each in self.body["messages"] if each["role"] == role)


@dataclass(frozen=True, kw_only=True, slots=True)
class Say:
    """An answer in the model's words; `after_seconds` is how long it thinks."""

    text: str
    after_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Refuse:
    """An HTTP error with this text, as servers refuse a parameter they do not know."""

    status: int
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)


Answer = str | Say | Misbehave | Refuse
Script = Callable[[Ask], Answer]


class ScriptedModel:
    """Serves `script` until it is left: `async with ScriptedModel(script) as model: model.url`."""

    def __init__(self, script: Script, *, port: int = 0) -> None:
        self.script = script
        #: Every request in the order of arrival.
        self.asked: list[Ask] = []
        #: Requests being answered now, and the most there ever were at a time.
        self.in_flight = 0
        self.most_in_flight = 0
        self._port = port
        self._arrival = asyncio.Condition()
        self._times: Counter[bytes] = Counter()
        application = web.Application(client_max_size=16 * 1024 * 1024)
        application.router.add_post("/v1/chat/completions", self._complete)
        # A request whose client has gone is given up; at the end none is waited for.
        self._runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)

    @property
    def url(self) -> str:
        """What `LLM_URL` is set to."""
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}/v1"

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Stop listening and drop every connection."""
        await self._runner.cleanup()

    async def arrived(self, requests: int) -> None:
        """Wait until that many requests have come."""
        async with self._arrival:
            await self._arrival.wait_for(lambda: len(self.asked) >= requests)

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        self._times[raw] += 1
        ask = Ask(times=self._times[raw], body=orjson.loads(raw), headers=dict(request.headers))
        async with self._arrival:
            self.asked.append(ask)
            self._arrival.notify_all()
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await _answer(request, ask, self.script(ask))
        finally:
            self.in_flight -= 1


async def _answer(request: web.Request, ask: Ask, answer: Answer) -> web.StreamResponse:
    model = str(ask.body["model"])
    if isinstance(answer, Misbehave):
        return await MISBEHAVIOURS[answer.how](request, model, answer)
    if isinstance(answer, Refuse):
        error = {"message": answer.message, "type": "invalid_request_error"}
        return web.json_response({"error": error}, status=answer.status, headers=dict(answer.headers))
    said = Say(text=answer) if isinstance(answer, str) else answer
    await asyncio.sleep(said.after_seconds)
    return web.json_response(chat_completion(model, said.text, prompt=ask.system + ask.user))


def by_seed(
    seed: int,
    *,
    misbehave: float = 0.0,
    misbehaviours: Sequence[str] = tuple(MISBEHAVIOURS),
    latency_seconds: float = 0.0,
) -> Script:
    """A script that fills the schema of each request, and misbehaves with probability `misbehave`.

    Drawn by the seed, the request and how often it came, so a repeated request may meet another fate.
    """

    def script(ask: Ask) -> Answer:
        request = orjson.dumps([seed, ask.times, ask.body], option=orjson.OPT_SORT_KEYS)
        draw = random.Random(hashlib.sha256(request).digest())  # noqa: S311 - not a secret
        misbehaves, how = draw.random() < misbehave, draw.choice(misbehaviours)
        text = orjson.dumps(filled(ask.schema, draw, Told.by(ask.system, ask.user))).decode()
        return Misbehave(how=how, text=text) if misbehaves else Say(text=text, after_seconds=latency_seconds)

    return script


async def _serve(script: Script, port: int) -> None:
    async with ScriptedModel(script, port=port) as model:
        print(model.url, flush=True)
        await asyncio.Event().wait()


def main() -> None:
    """Serve until Ctrl-C; prints the address first."""
    parser = argparse.ArgumentParser(prog="python -m app.scripted_model.server", description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--misbehave", type=float, default=0.0, help="probability, 0 to 1")
    parser.add_argument("--only", action="append", choices=sorted(MISBEHAVIOURS), help="misbehave in these ways only")
    parser.add_argument("--latency-seconds", type=float, default=0.0)
    arguments = parser.parse_args()
    script = by_seed(
        arguments.seed,
        misbehave=arguments.misbehave,
        misbehaviours=arguments.only or tuple(MISBEHAVIOURS),
        latency_seconds=arguments.latency_seconds,
    )
    end_in_order()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(script, arguments.port))


if __name__ == "__main__":
    main()
