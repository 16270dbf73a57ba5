"""Case file: a case as one HTML file that an auditor opens offline, and whose hashes a program checks.

It loads nothing and runs nothing, and says so to the browser. What stands in events was written by anybody: every text
is escaped, what cannot be seen too. The data is in it as JSON; its last line is the SHA-256 of every byte before it, so
a changed byte shows. Whoever changes the hashes as well is found where the file is compared with Kafka and PostgreSQL:
the hashes of histories are those that were recorded with the decisions.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Any, Final

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pydantic import ValidationError

from agents.model.history import digest_of
from agents.model.text import escaped
from app.story.case import Case, CaseRecord, bytes_of, decisions_of, events_of, hash_of, place_name
from app.story.headline import moment
from app.story.model import Story

#: What is said about what an agent knew.
VERDICTS: Final[Mapping[str, str]] = {
    "same": "verified: equal to the recorded history",
    "redacted": "verified before values were replaced",
    "differs": "DIFFERENT from the recorded history",
    "dropped": "INCOMPLETE: Kafka has dropped some",
    "unread": "not looked into",
}

_DATA: Final = re.compile(r'<pre id="case-data" data-sha256="([0-9a-f]{64})">([^<]*)</pre>')
_LAST_LINE: Final = re.compile(rb"<!-- sha256:([0-9a-f]{64}) -->\n\Z")


def case_file(case: Case) -> str:
    """The file. The same case gives the same bytes."""
    data = escaped(orjson.dumps(case.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS).decode())
    causes: defaultdict[str, list[Any]] = defaultdict(list)
    for link in case.story.links:
        causes[link.effect].append(link)
    page = _TEMPLATES.get_template("case_file.html.j2").render(
        case=case,
        story=case.story,
        incomplete=[source for source in case.story.sources if source.state != "complete"],
        causes=causes,
        names=_names(case.story),
        knowledge=defaultdict(lambda: None, {each.decision_id: each for each in case.knowledge}),
        records={(each.topic, each.partition, each.offset): each.value for each in case.records},
        verdicts=VERDICTS,
        data=data,
        data_sha256=hashlib.sha256(data.encode()).hexdigest(),
    )
    text = page.rstrip("\n") + "\n"
    return f"{text}<!-- sha256:{hashlib.sha256(text.encode()).hexdigest()} -->\n"


def problems_of(file: bytes) -> Sequence[str]:
    """What is wrong with a case file, a sentence each; nothing when every hash in it is right."""
    last = _LAST_LINE.search(file)
    if last is None:
        return ["it does not end with its hash: it is no case file, or its end is missing"]
    problems = []
    if hashlib.sha256(file[: last.start()]).hexdigest() != last[1].decode():
        problems.append("it was changed: its last line is not the hash of what is before it")
    found = _DATA.search(file.decode(errors="replace"))
    if found is None:
        return [*problems, "it holds no data"]
    data = html.unescape(found[2])
    if hashlib.sha256(data.encode()).hexdigest() != found[1]:
        problems.append("its data was changed: it has another hash than it says")
    try:
        case = Case.model_validate_json(data)
    except ValidationError:
        return [*problems, "its data is not that of a case"]
    problems += _wrong(case)
    if not problems and case.innervate == version("innervate") and case_file(case).encode() != file:
        problems.append("what it shows is not what its data says")
    return problems


def _wrong(case: Case) -> Iterator[str]:
    """What of the case does not have the hash it should have."""
    named = {(each.what, each.name): each.sha256 for each in case.manifest}
    for record in case.records:
        where = place_name(record)
        if named.pop(("record", where), None) != record.sha256:
            yield f"record {where} is not in the manifest, or with another hash"
        if not record.is_redacted and hashlib.sha256(_bytes(record)).hexdigest() != record.sha256:
            yield f"record {where} has another hash"
    for decision in decisions_of(case.story):
        if named.pop(("decision", decision.decision_id), None) != hash_of(decision):
            yield f"decision {decision.decision_id} has another hash"
    for (what, name), sha256 in named.items():
        if what == "story" and sha256 == hash_of(case.story):
            continue
        yield f"{what} {name} is in the manifest, and not in the data as it was"
    yield from _other_histories(case)


def _other_histories(case: Case) -> Iterator[str]:
    records = {(each.topic, each.partition, each.offset): each for each in case.records}
    recorded = {each.decision_id: each.knew.sha256 for each in decisions_of(case.story)}
    for known in case.knowledge:
        places = [(known.topic, known.partition, offset) for offset in known.offsets]
        if recorded.get(known.decision_id) != known.sha256 or not all(place in records for place in places):
            yield f"what decision {known.decision_id} knew is not what it says"
        elif known.kind == "same":
            events = [(place[2], _bytes(records[place])) for place in places]
            if digest_of(events) != known.sha256:
                yield f"what decision {known.decision_id} knew is not the recorded history"


def _bytes(record: CaseRecord) -> bytes:
    try:
        return bytes_of(record)
    except ValueError:
        return b""


def _names(story: Story) -> Mapping[str, str]:
    """What a link to an entry is called."""
    names = {event.id: f"{event.type} {event.event_id}" for event in events_of(story)}
    names |= {each.id: f"{each.agent}: {each.outcome}" for each in decisions_of(story)}
    return defaultdict(lambda: "an entry", names)


def _shown(value: Any) -> Any:
    """A text with what cannot be seen made visible; line breaks stay."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return "\n".join(map(escaped, value.split("\n")))
    return value


def _pretty(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS, default=dict).decode()


def _moment(at: datetime) -> str:
    return moment(at)


_TEMPLATES: Final = Environment(
    loader=PackageLoader("app.story", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_shown,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {"moment": _moment, "pretty": _pretty, "percent": lambda share: f"{share:.0%}"}
