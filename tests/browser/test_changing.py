"""What people change from the page: answers to what is held, and what is put back; two people at once."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import OpenPage, apart
from held import held, write
from observed import rows
from playwright.sync_api import Page, expect
from waiting import eventually

from app.sandbox import Sandbox

#: The console tells of every answer that is an error; here one is due.
REFUSED = "Failed to load resource: the server responded with a status of 409"


@pytest.fixture
def waiting(request: pytest.FixtureRequest, sandbox: Sandbox) -> str:
    """The id of a decision that waits for a person, of this test alone."""
    record = held(request.node.name)
    apart(write(sandbox.database_url, record))
    return str(record.id)


def answer_of(sandbox: Sandbox, decision_id: str) -> list[tuple[Any, ...]]:
    known = "SELECT status, answer, answered_by FROM decisions JOIN approvals ON decision_id = id WHERE id = %s"
    return rows(sandbox.database_url, known, [decision_id])


def press(page: Page, button: str, name: str) -> None:
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Why", exact=True).fill(f"{name} has looked at it")
    page.get_by_role("button", name=button, exact=True).click()


@pytest.mark.parametrize(
    ("button", "status", "answer", "said"),
    [("Approve", "committed", "approved", "Approved."), ("Reject", "rejected", "rejected", "Rejected.")],
)
def test_a_person_answers_what_is_held_and_sees_what_became_of_it(
    open_page: OpenPage, sandbox: Sandbox, waiting: str, button: str, status: str, answer: str, said: str
) -> None:
    page = open_page("/ui/approvals")
    page.locator(f"a[href='/ui/approvals/{waiting}']").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("nobody: nothing")
    # Exactly what follows from each answer is there before anybody presses.
    expect(page.get_by_label("With an approval")).to_contain_text("done-test_a_person")
    expect(page.get_by_label("Without an approval")).to_contain_text("otherwise-test_a_person")
    assert answer_of(sandbox, waiting) == [("held", None, None)]

    press(page, button, "Ada")

    expect(page.get_by_role("status").filter(has_text=said)).to_be_visible()
    assert answer_of(sandbox, waiting) == [(status, answer, "Ada")]
    expect(page.get_by_role("button", name="Approve", exact=True)).to_have_count(0)
    row = open_page("/ui/actions").locator("tbody tr").filter(has_text=waiting)
    expect(row).to_contain_text("Ada has looked at it")
    empty = "SELECT count(*) FROM outbox_messages WHERE key = 'waited'"
    eventually(lambda: rows(sandbox.database_url, empty), lambda found: found == [(0,)])


def test_of_two_people_who_press_at_once_one_is_heard_and_the_other_is_told_who(
    open_page: OpenPage, sandbox: Sandbox, waiting: str
) -> None:
    place = f"/ui/approvals/{waiting}"
    people = {"Ada": open_page(place, expecting=(REFUSED,)), "Grace": open_page(place, expecting=(REFUSED,))}
    for name, page in people.items():
        page.get_by_label("Your name").fill(name)

    # Both requests are sent before either is answered: each click returns at once.
    for page, button in zip(people.values(), ("Approve", "Reject"), strict=True):
        page.evaluate("(value) => document.querySelector(`button[value=${value}]`).click()", button.lower())

    for page in people.values():
        expect(page.locator("main .notice-good, main [role=alert]").first).to_be_visible()
    [(status, answer, first)] = answer_of(sandbox, waiting)
    assert (status, answer) == {"Ada": ("committed", "approved"), "Grace": ("rejected", "rejected")}[first]
    [second] = people.keys() - {first}
    expect(people[first].get_by_role("status").filter(has_text=f"{answer.capitalize()}.")).to_be_visible()
    expect(people[second].get_by_role("alert")).to_contain_text(first)


def test_nobody_answers_without_a_name(open_page: OpenPage, sandbox: Sandbox, waiting: str) -> None:
    page = open_page(f"/ui/approvals/{waiting}")

    page.get_by_role("button", name="Approve", exact=True).click()

    expect(page.get_by_label("Your name")).to_be_focused()
    assert answer_of(sandbox, waiting) == [("held", None, None)]


def test_an_answer_is_given_with_the_keyboard_alone(open_page: OpenPage, sandbox: Sandbox, waiting: str) -> None:
    page = open_page(f"/ui/approvals/{waiting}")

    page.get_by_label("Your name").focus()
    page.keyboard.type("Ada")
    page.keyboard.press("Tab")
    page.keyboard.type("it is right")
    page.keyboard.press("Tab")  # to what people did
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Approve", exact=True)).to_be_focused()
    page.keyboard.press("Enter")

    expect(page.get_by_role("status").filter(has_text="Approved.")).to_be_visible()
    assert answer_of(sandbox, waiting) == [("committed", "approved", "Ada")]


def test_a_dead_letter_is_put_back_once_and_says_by_whom(open_page: OpenPage, sandbox: Sandbox) -> None:
    open_letter = "SELECT id FROM dead_letters WHERE replayed_at IS NULL AND reason = 'invalid_json' LIMIT 1"
    [(letter_id,)] = rows(sandbox.database_url, open_letter)
    page = open_page("/ui/dead-letters")
    page.locator(f"a[href='/ui/dead-letters/{letter_id}']").first.click()

    press(page, "Put it back", "Ada")

    expect(page.get_by_role("status").filter(has_text="ack")).to_be_visible()
    expect(page.get_by_role("button", name="Put it back")).to_have_count(0)
    put_back = "SELECT replayed_by FROM dead_letters WHERE id = %s"
    assert rows(sandbox.database_url, put_back, [str(letter_id)]) == [("Ada",)]
    # Its cause is not mended, so it dies again, as a letter of its own.
    again = "SELECT count(*) FROM dead_letters WHERE value = (SELECT value FROM dead_letters WHERE id = %s)"
    eventually(lambda: rows(sandbox.database_url, again, [str(letter_id)]), lambda found: found == [(2,)])


def test_a_message_that_kafka_refused_is_put_back_and_published(open_page: OpenPage, sandbox: Sandbox) -> None:
    [(seq,)] = rows(sandbox.database_url, "SELECT max(seq) FROM outbox_dead")
    page = open_page("/ui/outbox")
    page.locator(f"a[href='/ui/outbox/dead/{seq}']").first.click()

    press(page, "Put it back", "Ada")

    expect(page.get_by_role("status").filter(has_text="ack")).to_be_visible()
    left = "SELECT (SELECT count(*) FROM outbox_dead WHERE seq = %s), (SELECT count(*) FROM outbox_messages)"
    eventually(lambda: rows(sandbox.database_url, left, [seq]), lambda found: found == [(0, 0)])
