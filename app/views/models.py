"""Language models: what they were asked, and what it took."""

from __future__ import annotations

from collections.abc import Sequence

from app.reads.llm_calls import LlmCallsPage, LlmCallsQuery, Models, WholeLlmCall, llm_call, llm_calls, models
from app.reads.shapes import Query, RowId
from app.views.endpoints import Asked, Endpoint
from app.worker.application import Innervate


class CallPlace(Query):
    """A call."""

    call_id: RowId


def model_endpoints(app: Innervate) -> Sequence[Endpoint]:
    """What is in the journal of calls and in the budgets."""
    database, limits = app.runtime.database, app.settings.daily_tokens()

    async def list_calls(asked: Asked) -> LlmCallsPage:
        return await llm_calls(database, asked.query)

    async def show_call(asked: Asked) -> WholeLlmCall:
        return await llm_call(database, asked.place.call_id)

    async def list_models(_asked: Asked) -> Models:
        return await models(database, limits)

    return [
        Endpoint(
            path="/llm-calls",
            answer=list_calls,
            query=LlmCallsQuery,
            summary="The newest calls of language models that the filters let pass.",
            answers=LlmCallsPage,
        ),
        Endpoint(
            path="/llm-calls/{call_id}",
            place=CallPlace,
            answer=show_call,
            summary="A call with what was sent and what came back.",
            answers=WholeLlmCall,
        ),
        Endpoint(
            path="/models",
            answer=list_models,
            summary="What models are asked, how often that fails, and what is left of the day's tokens.",
            answers=Models,
        ),
    ]
