"""Structured replies: from the text a model wrote to an object that was judged, or `Rejected`. Pure.

A model wraps its object in a fence or in talk, or thinks aloud before it; the object is found, never completed: what is
missing in half an object is not guessed, and when two different objects would do neither is taken (one of them may be a
customer's, quoted). What was weighed in thoughts is no answer. Problems are told in our words, without a word of the
reply, so they can be logged and sent back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from agents.brains.dialect import Prompt
from agents.model.errors import Rejected, RejectedReply

M = TypeVar("M", bound=BaseModel)

#: Places in a text where an object may begin. Talk holds some braces; hostile text holds thousands.
_MAX_CANDIDATES: Final = 16
#: A brace that is no talk.
_BEGINS_OBJECT: Final = re.compile(r'\{\s*["{]')
#: What models think in before they answer: DeepSeek and Qwen, others, Mistral.
_BEGIN_THINKING: Final = re.compile(r"\s*(?:<(?:think|thinking|thought|reasoning)>|\[THINK\])", re.IGNORECASE)
_END_THINKING: Final = re.compile(
    r".*(?:</(?:think|thinking|thought|reasoning)>|\[/THINK\])", re.IGNORECASE | re.DOTALL
)
#: Problems told at a time.
_MAX_PROBLEMS: Final = 10

#: What pydantic's types of errors mean. Its own messages may quote the reply; the values here are the model class's.
_SAID: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "extra_forbidden": "is not a field of the schema",
    "literal_error": "must be one of {expected}",
    "enum": "must be one of {expected}",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "finite_number": "must be a finite number",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "string_type": "must be a string",
    "int_type": "must be an integer",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "none_required": "must be null",
    "model_type": "must be an object",
}


def parse_reply(text: str, model: type[M]) -> M:
    """Find the one object in `text` that `model` accepts. Raises `Rejected`."""
    text = _answer(text)
    fitting: list[M] = []
    problems: tuple[str, ...] = ()
    for candidate in _objects(text):
        try:
            found = _validated(candidate, model)
        except Rejected as rejected:
            problems = problems or rejected.problems
        else:
            if found not in fitting:
                fitting.append(found)
    if len(fitting) > 1:
        raise Rejected(RejectedReply.AMBIGUOUS, ("there are several objects; write exactly one",))
    if fitting:
        return fitting[0]
    if problems:
        raise Rejected(RejectedReply.INVALID, problems)
    raise Rejected(RejectedReply.NOT_JSON, ("there is no complete JSON object",))


def _answer(text: str) -> str:
    """The text without the thoughts before it, which may hold objects that were weighed and given up.

    The last end of thinking counts: one before it may be somebody's, quoted. Where the server opened the thoughts in
    its template, only their end is there. Thoughts without an end have no answer behind them.
    """
    end = _END_THINKING.match(text)
    if _BEGIN_THINKING.match(text):
        return text[end.end() :] if end else ""
    is_object = text.lstrip().startswith(("{", "`"))
    return text[end.end() :] if end and not is_object else text


def repair_prompt(prompt: Prompt, rejected: Rejected) -> Prompt:
    """Ask once more, naming the problems. They join the system text, apart from what others wrote."""
    problems = "\n".join(f"- {problem}" for problem in rejected.problems)
    return replace(
        prompt,
        system=(
            f"{prompt.system}\n\nAn earlier answer of yours to this could not be used:\n{problems}\n"
            "Answer again, with one JSON object of the schema and nothing else."
        ),
    )


def _objects(text: str) -> Iterator[str]:
    """The outermost JSON objects in a text, in order, as they were written.

    Raises `Rejected` when one begins and is broken: what follows may be a part of it.
    """
    decoder = json.JSONDecoder()
    position = -1
    for _ in range(_MAX_CANDIDATES):
        position = text.find("{", position + 1)
        if position < 0:
            return
        try:
            _, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            if _BEGINS_OBJECT.match(text, position):
                raise Rejected(RejectedReply.NOT_JSON, ("an object is broken or not complete",)) from None
            continue  # a brace in talk
        yield text[position:end]
        position = end - 1
    raise Rejected(RejectedReply.NOT_JSON, ("there are too many braces outside the object",))


def _validated(candidate: str, model: type[M]) -> M:
    if r"\u0000" in candidate:
        raise Rejected(RejectedReply.INVALID, ("the null character is not allowed",))  # nor does PostgreSQL keep it
    try:
        return model.model_validate_json(candidate)
    except ValidationError as error:
        fields = _field_names(model.model_json_schema())
        found = error.errors(include_url=False, include_input=False)
        problems = tuple(dict.fromkeys(_problem(each, fields) for each in found[:_MAX_PROBLEMS]))
        raise Rejected(RejectedReply.INVALID, problems) from None
    except UnicodeEncodeError:
        raise Rejected(RejectedReply.INVALID, ("half a surrogate pair is no character",)) from None


def _problem(error: Any, fields: frozenset[str]) -> str:
    where = ".".join(_place(each, fields) for each in error["loc"]) or "the object"
    kind = str(error["type"])
    said = _SAID.get(kind)
    return f"{where} {said.format_map(error.get('ctx', {}))}" if said else f"{where}: {kind.replace('_', ' ')}"


def _place(part: int | str, fields: frozenset[str]) -> str:
    """A name from the schema or an index; the names of other fields were written by the model."""
    return str(part) if isinstance(part, int) or part in fields else "(another field)"


def _field_names(schema: Any) -> frozenset[str]:
    if isinstance(schema, dict):
        own = frozenset(schema.get("properties", {}))
        return own.union(*map(_field_names, schema.values()))
    if isinstance(schema, list):
        return frozenset().union(*map(_field_names, schema))
    return frozenset()
