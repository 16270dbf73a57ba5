"""Help: what each state means and what to do about it, beside where it is shown. Static, and of no domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Help:
    """An answer to what somebody asks who sees the state for the first time."""

    question: str
    #: Paragraphs.
    answer: Sequence[str]


def _help(question: str, *answer: str) -> Help:
    return Help(question, answer)


#: By what is shown: a status of decisions, a reason, a part of the page.
HELP: Final[Mapping[str, Help]] = MappingProxyType(
    {
        "committed": _help(
            "What does committed mean?",
            "The decision, its effects and its messages were written in one transaction. Nothing of it can be"
            " lost any more, and nothing of it is done twice.",
        ),
        "held": _help(
            "Why is this held?",
            "The agent, or a limit, asks for a person: nothing of it was published or done yet. What will be"
            " published is shown to the byte; approve it or reject it under Approvals.",
            "When nobody answers in time it expires: it is rejected, and somebody is told.",
        ),
        "rejected": _help(
            "What does rejected mean?",
            "A person said no, nobody answered in time, or PostgreSQL refused what the decision wanted to do."
            " Nothing of it was done; the event that tells a person of it was published instead.",
        ),
        "refused": _help(
            "Why was this refused?",
            "Agents answered each other for so long, or so often in one story, that the limit was reached"
            " (CHAIN_MAX_DEPTH, CHAIN_MAX_MESSAGES). The chain ends here and a person is told.",
        ),
        "shadow": _help(
            "What is a shadow's decision?",
            "A shadow decides beside the live agent and does nothing: no effect, no message. It is there to be"
            " compared.",
        ),
        "fallback": _help(
            "Why did the rules decide?",
            "A language model was to be asked, and did not answer in time, not as the form wants it, or not"
            " within its budget. The rules decided instead; work went on.",
        ),
        "confidence": _help(
            "How sure is that?",
            "The agent's own account, from 0 to 1. Below 0.5 a finding is a guess, and a person decides.",
        ),
        "code": _help(
            "What is the code?",
            "What the agent decided by: its rules with every module they reach, the settings that matter, the release."
            " Another number is other code; the number's own page says what changed.",
        ),
        "gap": _help(
            "What is a gap?",
            "Something that is not there where it would stand: records that Kafka has dropped or nobody read, a"
            " cause that was not found, or a long time in which nothing happened.",
        ),
        "verified": _help(
            "What does verified mean?",
            "What the agent knew was read from Kafka again, event by event, and its hash is the one that was"
            " written with the decision.",
        ),
        "lag": _help(
            "What does behind mean?",
            "Events that are in Kafka and not yet read. A rising number means that workers are fewer or slower"
            " than what comes in; one that stands still and is not 0 means that something is stuck.",
        ),
    }
)
