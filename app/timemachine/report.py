"""Report of a replay: one JSON document, or one page of HTML, written in bounded memory. Fails with OSError.

What stands in events was written by anybody. JSON quotes it; in HTML every text is escaped, what cannot be seen too,
the page loads nothing and runs nothing, and says so to the browser (`Content-Security-Policy`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from itertools import islice
from pathlib import Path
from typing import Any, Final

import orjson

from agents.model.text import escaped
from agents.replay.comparison import HistoryKind, Kind

#: Differences shown on a page; a browser has to hold them all.
SHOWN: Final = 1000
#: Characters shown of one text or message; the JSON has all of them.
_SHOWN_CHARACTERS: Final = 4000

_HEAD: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Replay</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; color: #1b1f24 }
table { border-collapse: collapse; width: 100%; margin: 0.5rem 0 1.5rem; table-layout: fixed }
th, td { border: 1px solid #c9d1d9; padding: 0.3rem 0.6rem; text-align: left; vertical-align: top;
  overflow-wrap: anywhere; unicode-bidi: isolate }
th { background: #f3f5f7 }
.totals td + td { text-align: right }
mark { background: #ffe9a8 }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; font: 13px/1.4 ui-monospace, monospace }
h2 { font-size: 1rem; margin: 1.5rem 0 0 }
.note { color: #57606a }
</style>
"""


def write_json(path: Path, summary: Mapping[str, Any], differences: Iterable[bytes]) -> None:
    """Write the summary and every difference (each a line of JSON) as one document."""
    with path.open("wb") as file:
        file.write(orjson.dumps(summary, option=orjson.OPT_INDENT_2).removesuffix(b"\n}"))
        file.write(b',\n  "differences": [')
        for position, line in enumerate(differences):
            file.write((b",\n    " if position else b"\n    ") + line)
        file.write(b"\n  ]\n}\n")


def write_html(path: Path, summary: Mapping[str, Any], differences: Iterable[bytes]) -> None:
    """Write a page with the totals and the first `SHOWN` differences."""
    with path.open("w", encoding="utf-8", errors="replace") as file:
        file.write(_HEAD)
        file.write(_summary(summary))
        if summary["different"] > SHOWN:
            file.write(
                f'<p class="note">The first {SHOWN:,} of {summary["different"]:,} differences are shown here;'
                " the JSON report has all of them.</p>\n"
            )
        file.writelines(_difference(orjson.loads(line)) for line in islice(differences, SHOWN))
        file.write("</html>\n")


def _summary(summary: Mapping[str, Any]) -> str:
    verdict = "every decision is the same" if summary["same"] else f"{summary['different']:,} decisions differ"
    header = "".join(f"<th>{name}" for name in ("agent", *Kind, *(f"history {kind}" for kind in HistoryKind)))
    rows = [
        "<tr>"
        + _cell(agent)
        + "".join(f"<td>{counts[kind]:,}" for kind in Kind)
        + "".join(f"<td>{counts['history'][kind]:,}" for kind in HistoryKind)
        for agent, counts in summary["agents"].items()
    ]
    log = [
        f"<tr>{_cell(part['topic'])}<td>{part['partition']}<td>{part['first_offset']:,}<td>{part['end_offset']:,}"
        for part in summary["log"]
    ]
    settings = [f"<tr>{_cell(name)}{_cell(_plain(value))}" for name, value in summary["settings"].items()]
    return (
        f"<h1>Replay: {verdict}</h1>\n<p>{summary['decisions']:,} decisions compared.</p>\n"
        f'<table class="totals"><tr>{header}\n' + "\n".join(rows) + "</table>\n"
        "<h2>The log</h2>\n<p>What Kafka still had; windows are exact from the first offset on.</p>\n"
        "<table><tr><th>topic<th>partition<th>first offset<th>end offset\n" + "\n".join(log) + "</table>\n"
        "<h2>How it was replayed</h2>\n<table>" + "\n".join(settings) + "</table>\n"
    )


def _difference(difference: Mapping[str, Any]) -> str:
    place = f"{difference['topic']}[{difference['partition']}]@{difference['offset']}"
    event = " ".join(str(difference[name]) for name in ("event_type", "event_id") if difference[name])
    notes = [f"{place}", f"entity {difference['entity_id']}"] if difference["entity_id"] else [place]
    if difference["history"]:
        notes.append(f"history {difference['history']}")
    # Differences that were found by a release of before do not say it.
    if difference.get("code_changed"):
        notes.append(f"recorded by other code: {', '.join(difference['code_changed'])}")
    if difference["problem"]:
        notes.append(difference["problem"])
    recorded, replayed = difference["recorded"], difference["replayed"]
    rows = [
        _row(
            name, recorded and recorded[name], replayed and replayed.get(name), differs=name in difference["differing"]
        )
        for name in recorded or replayed or ()
    ]
    rows += [
        _row(f"message {each['id']}", each["recorded"], each["replayed"], differs=True)
        for each in difference["messages"]
    ]
    return (
        f"<h2>{_shown(difference['kind'])}: {_shown(difference['agent'])} on {_shown(event)}</h2>\n"
        f'<p class="note">{_shown("; ".join(notes))}</p>\n'
        "<table><tr><th style='width:12rem'><th>recorded<th>replayed\n" + "".join(rows) + "</table>\n"
    )


def _row(name: str, recorded: object, replayed: object, *, differs: bool) -> str:
    cells = "".join(f"<td><pre>{_marked(_plain(each), differs=differs)}</pre>" for each in (recorded, replayed))
    return f"<tr>{_cell(name)}{cells}\n"


def _marked(text: str, *, differs: bool) -> str:
    return f"<mark>{_shown(text)}</mark>" if differs and text else _shown(text)


def _cell(text: str) -> str:
    return f"<td>{_shown(text)}"


def _shown(text: str) -> str:
    return "\n".join(escape(escaped(line)) for line in text.split("\n"))


def _plain(value: object) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}… ({len(text):,} characters)"
