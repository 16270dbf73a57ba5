"""What is new is told to every open tab, and no list jumps under the reader's eyes."""

from __future__ import annotations

import re

from conftest import OpenPage, apart
from observed import rows
from playwright.sync_api import expect
from waiting import eventually

from app.sandbox import Sandbox
from app.simulator import simulated_until_now
from app.simulator.sending import send_records


def send_orders(sandbox: Sandbox, seed: int) -> None:
    """Some orders nobody has heard of; returns when agents have decided on them."""
    count = "SELECT count(*) FROM decisions WHERE status = 'committed'"
    [(before,)] = rows(sandbox.database_url, count)
    records = simulated_until_now(seed=seed, orders=3, failures=0, unusual=0).records
    apart(send_records({"bootstrap_servers": sandbox.kafka}, records, per_second=1000))
    eventually(lambda: rows(sandbox.database_url, count), lambda found: found[0][0] > before)


def test_a_list_says_how_much_is_new_and_shows_it_when_asked(open_page: OpenPage, sandbox: Sandbox) -> None:
    page = open_page("/ui/decisions")
    lines = page.locator("main tbody tr")
    shown = page.locator("main tbody").inner_text().count("\n")
    newest = lines.first.get_by_role("link").first.get_attribute("href")
    expect(page.locator("[data-live-state]")).to_have_text("live")

    send_orders(sandbox, seed=21)

    told = page.get_by_text(re.compile(r"^\d+\+? new$"))
    expect(told).to_be_visible()
    assert lines.first.get_by_role("link").first.get_attribute("href") == newest
    assert page.locator("main tbody").inner_text().count("\n") == shown
    told.click()
    expect(lines.first.get_by_role("link").first).not_to_have_attribute("href", newest or "")


def test_a_list_with_a_filter_hears_only_of_what_passes_it(open_page: OpenPage, sandbox: Sandbox) -> None:
    other = open_page("/ui/decisions?status=held")
    every = open_page("/ui/decisions")
    for page in (other, every):
        expect(page.locator("[data-live-state]")).to_have_text("live")

    send_orders(sandbox, seed=22)

    expect(every.get_by_text(re.compile(r"^\d+\+? new$"))).to_be_visible()
    expect(other.get_by_text(re.compile(r"^\d+\+? new$"))).to_be_hidden()
