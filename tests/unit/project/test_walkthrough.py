"""How a document that is executed is read, and what counts as the output that it shows."""

from __future__ import annotations

import pytest
from walkthrough import Command, Console, File, Names, steps

A, B, C = (f"{digit * 8}-0000-0000-0000-000000000000" for digit in "abc")

DOCUMENT = """
# Title

```python robot/send.py
print("sent")
```

```console
$ innervate new-domain robot
robot

two lines on
$ pwd
```

<!-- until it shows -->
```console worker
^C
$ innervate worker
…
```
"""


def test_files_and_consoles_are_read_in_their_order() -> None:
    assert list(steps(DOCUMENT)) == [
        File(path="robot/send.py", text='print("sent")\n'),
        Console(
            terminal="",
            commands=[
                Command(line="innervate new-domain robot", shown=["robot", "", "two lines on"]),
                Command(line="pwd", shown=[]),
            ],
            again=False,
        ),
        Console(
            terminal="worker",
            commands=[Command(line="^C", shown=[]), Command(line="innervate worker", shown=["…"])],
            again=True,
        ),
    ]


@pytest.mark.parametrize("block", ["```python\npass\n```\n", "```console\nno command\n```\n"])
def test_a_block_that_would_not_be_executed_is_refused(block: str) -> None:
    with pytest.raises(ValueError, match="without"):
        list(steps(block))


@pytest.mark.parametrize(
    ("shown", "output"),
    [
        ([], "\n"),
        (["one", "two"], "one\ntwo  \n\n"),
        (["one", "…"], "one\ntwo\nthree\n"),
        (["…", "three"], "one\ntwo\nthree\n"),
        (["passed in …s"], "passed in 0.12s\n"),
        (["at 2026-11-27T12:00:01.5Z on 127.0.0.1:9092"], "at 2024-01-02T03:04:05Z on 127.0.0.1:1\n"),
        ([f"{A} {B} {A}"], f"{C} {A} {C}\n"),
    ],
)
def test_what_is_shown_may_leave_out_and_vary(shown: list[str], output: str) -> None:
    assert Names().shows(shown, output)


@pytest.mark.parametrize(
    ("shown", "output"),
    [
        ([], "one\n"),
        (["one"], ""),
        (["one"], "one\ntwo\n"),
        (["one", "…", "two"], "one\ntwo\nthree\n"),
        (["a.c"], "abc\n"),
        (["at 2026-11-27T12:00:01Z"], "at noon\n"),
        ([f"{A} {A}"], f"{B} {C}\n"),
    ],
)
def test_other_output_is_not_what_is_shown(shown: list[str], output: str) -> None:
    assert not Names().shows(shown, output)


def test_what_runs_on_has_shown_it_when_its_beginning_is_there() -> None:
    assert Names().shows(["…", "ready"], "starting\nready\nand more\n", runs_on=True)
    assert not Names().shows(["…", "ready"], "starting\n", runs_on=True)


def test_an_id_stands_for_the_same_one_of_the_run_from_then_on() -> None:
    names = Names()
    assert names.shows([f"held {A}"], f"held {B}\n")

    assert names.given(f"approve {A} {C}") == f"approve {B} {C}"
    assert names.shows([f"{A} is held"], f"{B} is held\n")
    assert not names.shows([f"{A} is held"], f"{C} is held\n")
