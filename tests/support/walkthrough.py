"""Walkthrough: a document whose fenced blocks are files and consoles, as a test executes it, in order.

    ```python send.py          a file of that name, written (or written anew)
    ```console                 commands (`$ `), one after another in one shell, each with all of its output
    ```console worker          a terminal of that name: its command runs on, until a block of its says `^C`
    <!-- until it shows -->    before a console: its commands are run again until they show what they should

In what is shown, `…` stands for any text within a line, and for any number of lines where it is a line of its own. Ids,
hashes, times and ports may differ, but what is the same in the document must be the same in the run; commands are given
the ids and hashes of the run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

CTRL_C: Final = "^C"

_BLOCK: Final = re.compile(
    r"(?P<again><!-- until it shows -->\n)?```(?P<info>[^\n`]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_UUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_HASH: Final = r"\b[0-9a-f]{64}\b"
_TIME: Final = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)"
_PORT: Final = r"(?<=127\.0\.0\.1:)\d+"
#: What differs from run to run, and whether it names something.
_VARIES: Final = re.compile(rf"(?P<named>{_UUID}|{_HASH})|(?P<time>{_TIME})|(?P<port>{_PORT})|(?P<any>…)")


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """A file of the document."""

    path: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """A command, or `^C`, and the output that is shown of it."""

    line: str
    shown: Sequence[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Console:
    """Commands in a terminal; "" is the one without a name."""

    terminal: str
    commands: Sequence[Command]
    #: Run again until they show it.
    again: bool


def steps(document: str) -> Iterator[File | Console]:
    """The blocks of a document in their order. Raises ValueError for one that is neither file nor console."""
    for block in _BLOCK.finditer(document):
        language, _, rest = block["info"].partition(" ")
        if language == "console":
            yield Console(terminal=rest, commands=list(_commands(block["text"])), again=bool(block["again"]))
        elif rest:
            yield File(path=rest, text=block["text"])
        else:
            raise ValueError(f"a block of {language} without a name of a file")


class Names:
    """The ids and hashes of the document, and what stands for them in this run."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def given(self, command: str) -> str:
        """The command with those of this run; one that was shown nowhere stays."""
        return _VARIES.sub(lambda each: self.found.get(each[0], each[0]) if each["named"] else each[0], command)

    def shows(self, shown: Sequence[str], output: str, *, runs_on: bool = False) -> bool:
        """Whether the output is what is shown; what is named for the first time is kept.

        `runs_on`: more may come.
        """
        numbers: dict[str, str] = {}
        lines = [line.rstrip() for line in output.rstrip("\n").split("\n")] if output.strip() else []
        pattern = "".join(self._line(line, numbers) for line in shown)
        matched = re.match(pattern if runs_on else rf"{pattern}\Z", "".join(f"{line}\n" for line in lines))
        if matched is None:
            return False
        self.found |= {name: matched[group] for name, group in numbers.items()}
        return True

    def _line(self, line: str, numbers: dict[str, str]) -> str:
        if line == "…":
            return r"(?:[^\n]*\n)*?"
        found, end = "", 0
        for each in _VARIES.finditer(line):
            found += re.escape(line[end : each.start()]) + self._varying(each, numbers)
            end = each.end()
        return found + re.escape(line[end:].rstrip()) + "\n"

    def _varying(self, each: re.Match[str], numbers: dict[str, str]) -> str:
        if each["any"]:
            return r"[^\n]*?"
        if each["time"] or each["port"]:
            return _TIME if each["time"] else r"\d+"
        name = each["named"]
        if name in self.found:
            return re.escape(self.found[name])
        if name in numbers:
            return f"(?P={numbers[name]})"
        numbers[name] = f"name_{len(numbers)}"
        return f"(?P<{numbers[name]}>{_UUID if '-' in name else _HASH})"


def _commands(text: str) -> Iterator[Command]:
    line: str | None = None
    shown: list[str] = []
    for each in text.rstrip("\n").split("\n"):
        if each.startswith("$ ") or each == CTRL_C:
            if line is not None:
                yield Command(line=line, shown=shown)
            line, shown = each.removeprefix("$ "), []
        elif line is None:
            raise ValueError(f"output without a command: {each}")
        else:
            shown.append(each)
    if line is not None:
        yield Command(line=line, shown=shown)
