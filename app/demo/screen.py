"""The screen while the demo runs: how much of each kind the agents said, or every line of it.

A terminal shows numbers that count up and are gone at the end. Elsewhere a line says how far it is, four times in all.
"""

from __future__ import annotations

from collections import Counter
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from agents.model.text import escaped
from app.demo.evidence import AGENTS_SOURCE
from app.demo.telling import line
from tables.event import Event

#: What the agents say in every story, one line each, is left out when every line is shown.
_QUIET: Final = frozenset({"LedgerEntryPosted", "RootCauseSuspected"})
#: Lines that say how far it is where nothing can count up.
_LINES: Final = 4


class Screen:
    """What is seen of a run, as a context manager.

    `total` records are sent. `verbose` shows each event of the agents as a line of its own.
    """

    def __init__(self, console: Console, *, total: int, verbose: bool) -> None:
        self.console = console
        self.said: Counter[str] = Counter()
        self._total = total
        self._verbose = verbose
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console)
        self._sent = self._progress.add_task("sent", total=total)
        self._decided = self._progress.add_task("decided", total=None)
        self._live = Live(get_renderable=self._now, console=console, transient=True)
        self._sent_count = 0
        self._decided_count = 0

    def __enter__(self) -> Self:
        """Begin to count."""
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the lines alone on the screen."""
        self._live.stop()

    def sent(self) -> None:
        """Another record is in Kafka."""
        self._sent_count += 1
        self._progress.advance(self._sent)
        quarter = -(-self._total // _LINES)
        if not self.console.is_terminal and (self._sent_count % quarter == 0 or self._sent_count == self._total):
            told = f"sent {self._sent_count} of {self._total} records, {self._decided_count} decisions so far"
            self.console.print(told)

    def decided(self, count: int, due: int) -> None:
        """So many of the decisions that are due, as far as is known, are committed."""
        self._decided_count = count
        self._progress.update(self._decided, completed=count, total=due)

    def heard(self, event: Event) -> None:
        """An event of the log; those of the agents count."""
        if not event.source.startswith(AGENTS_SOURCE):
            return
        self.said[event.type] += 1
        if self._verbose and event.type not in _QUIET:
            self.console.print(line(event), no_wrap=True, overflow="ellipsis")

    def _now(self) -> Group:
        return Group(self._progress, said(self.said))


def said(counts: Counter[str]) -> Text:
    """How often the agents said what, the most frequent first."""
    return Text(", ".join(f"{count} {escaped(kind)}" for kind, count in counts.most_common()))
