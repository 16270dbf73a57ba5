"""The client of language models against a server that others wrote: llama.cpp, with a model of random weights.

The model knows nothing; what of its answers fits a form, the server's grammar made fit. So these tests are about what
the client sends and what it makes of the answers, and would fail if a real server read its requests another way.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest
from llama_server import API_KEY, CONTEXT, MODEL, SLOTS, LlamaServer
from pydantic import SecretStr
from shop_catalogue import AGENTS
from waiting import PATIENCE_SECONDS

from agents.brains.client import ChatClient, Limits, Prompt, Reply, Server
from agents.brains.dialect import Dialect
from agents.brains.envelope import open_envelope
from agents.brains.schema import strict_schema
from agents.brains.structured import parse_reply
from agents.model.choice import Choosing
from agents.model.errors import BrainUnavailable

CHOOSING = {name: agent.choosing for name, agent in AGENTS.items() if agent.choosing is not None}
YES_OR_NO = {
    "title": "Answer",
    "type": "object",
    "properties": {"yes": {"type": "boolean"}},
    "required": ["yes"],
    "additionalProperties": False,
}
SHORT = Prompt(system="Answer.", user="Is it so?")
#: Far below the server's context, far above what a form takes.
LIMITS = Limits(attempts=1, attempt_seconds=60, reply_tokens=400, concurrency=4 * SLOTS)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaServer]:
    server = LlamaServer(tmp_path_factory.mktemp("llama") / "server", seed=1)
    try:
        server.start()
        yield server
    finally:
        server.release()


@pytest.fixture
def server(llama: LlamaServer) -> Server:
    return Server(url=llama.url, model=MODEL, api_key=SecretStr(API_KEY))


@pytest.fixture
async def client(server: Server) -> AsyncIterator[ChatClient]:
    async with ChatClient(server, LIMITS) as client:
        yield client


async def ask(client: ChatClient, prompt: Prompt = SHORT, schema: Mapping[str, Any] = YES_OR_NO) -> Reply:
    return await client.complete(prompt, schema, deadline_seconds=120)


async def refused(server: Server, prompt: Prompt = SHORT, **limits: Any) -> BrainUnavailable:
    async with ChatClient(server, replace(LIMITS, **limits)) as client:
        with pytest.raises(BrainUnavailable) as caught:
            await ask(client, prompt)
    return caught.value


async def post(server: Server, dialect: Dialect, *, max_tokens: int) -> bytes:
    body = dialect.body(MODEL, SHORT, YES_OR_NO, max_tokens=max_tokens)
    async with httpx.AsyncClient(headers=server.headers(), timeout=PATIENCE_SECONDS) as http:
        answer = await http.post(server.completions_url, content=body)
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.mark.parametrize("choosing", CHOOSING.values(), ids=CHOOSING)
async def test_every_agents_form_is_filled_in(choosing: Choosing, client: ChatClient) -> None:
    prompts = [Prompt(system=choosing.task, user=f'{{"decide_on": "e-{n}"}}') for n in range(5)]
    for reply in await asyncio.gather(*(ask(client, prompt, strict_schema(choosing.form)) for prompt in prompts)):
        assert list(json.loads(reply.text)) == list(choosing.form.model_fields)
        assert parse_reply(reply.text, choosing.form).rationale


async def test_a_model_that_is_only_told_the_schema_does_not_fill_in_the_form(server: Server) -> None:
    completion = await post(server, Dialect(format="text"), max_tokens=400)
    assert open_envelope(completion, asked_model=MODEL, latency_seconds=0).text == ""


async def test_each_of_many_requests_gets_its_own_answer_with_its_tokens_counted(client: ChatClient) -> None:
    users = ["?" * n for n in range(3 * SLOTS)]
    replies = await asyncio.gather(*(ask(client, Prompt(system="Ünsure.", user=user)) for user in users))
    # A token for each byte of "system: Ünsure.\nuser: \nassistant: ", and one before them.
    assert [reply.prompt_tokens for reply in replies] == [36 + n for n in range(3 * SLOTS)]
    # A token for each byte, and one that ends the answer.
    assert [reply.completion_tokens for reply in replies] == [len(reply.text) + 1 for reply in replies]
    assert {reply.unanswered for reply in replies} == {0}


async def test_an_answer_names_the_model_that_gave_it_whatever_model_was_asked_for(server: Server) -> None:
    async with ChatClient(replace(server, model="gpt-9"), LIMITS) as client:
        assert (await ask(client)).model == MODEL


@pytest.mark.parametrize("tied_to", ["json_schema", "json_object", "text"])
@pytest.mark.parametrize("limit_name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("has_temperature", [True, False])
async def test_every_dialect_is_understood(
    tied_to: Any, limit_name: Any, has_temperature: bool, server: Server
) -> None:
    dialect = Dialect(format=tied_to, limit_name=limit_name, has_temperature=has_temperature)
    completion = json.loads(await post(server, dialect, max_tokens=3))
    assert completion["usage"]["completion_tokens"] <= 3
    assert tied_to == "text" or completion["choices"][0]["message"]["content"].lstrip().startswith("{")


async def test_a_schema_the_server_cannot_read_is_told_to_the_model_instead(client: ChatClient) -> None:
    reply = await ask(client, schema={"title": "Odd", "type": "object", "properties": {"yes": {"type": "perhaps"}}})
    assert isinstance(json.loads(reply.text), dict)


@pytest.mark.parametrize("address", ["/v2", "/v1/models/v1"])
async def test_a_wrong_address_is_a_bad_request(address: str, server: Server) -> None:
    wrong = replace(server, url=server.url.replace("/v1", address))
    assert (await refused(wrong)).reason == "bad_request"


@pytest.mark.parametrize("key", [None, SecretStr("simsim")])
async def test_a_wrong_key_is_a_bad_request(key: SecretStr | None, server: Server) -> None:
    assert (await refused(replace(server, api_key=key))).reason == "bad_request"


async def test_a_prompt_longer_than_the_models_context_is_a_bad_request_and_nothing_is_owed(server: Server) -> None:
    error = await refused(server, Prompt(system="Answer.", user="?" * CONTEXT))
    assert (error.reason, error.unanswered) == ("bad_request", 0)


async def test_an_answer_of_too_many_tokens_is_too_long_and_may_have_been_counted(server: Server) -> None:
    error = await refused(server, reply_tokens=5)
    assert (error.reason, error.unanswered) == ("too_long", 1)


async def test_an_answer_that_the_context_has_no_room_for_is_too_long(server: Server) -> None:
    # Room for ten tokens: "system: Answer.\nuser: " are 22, "\nassistant: " are 12, and one is before them.
    error = await refused(server, Prompt(system="Answer.", user="?" * (CONTEXT - 45)))
    assert (error.reason, error.unanswered) == ("too_long", 1)
