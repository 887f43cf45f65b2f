"""What a pull of many costs: requests, queries and memory."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from django_ctct import pull, services
from django_ctct.models import Account, Contact, DatabaseNow
from django_ctct.services import Link
from django_ctct.types import ContactStatus, Page, Sighting
from tests.account import LISTS, UNMANAGED, Sandbox, by_wire

FREE, _, NEWSLETTER = LISTS.values()
#: Queries for any page up to v3's 500. On SQLite, rows are written 100 to 300 at a time, so that a full page takes more
#: of them than a small one (500 new contacts on a list each: 42), and again a few more the more lists these are on.
#: Only a stranger who has opted out and whose address was changed over there costs queries of her own.
MOST = 50
#: What is done over there to each kind of contact between two pulls. The site's own are those of a member.
KINDS = ("known", "edited", "left", "out", "deleted", "new", "ours", "ours left", "ours out")


def turn() -> pull.Pulled:
    with services.connect("default") as link:
        return pull.catch_up(link)


def news_of(box: Sandbox, many: int, kinds: Sequence[str] = KINDS) -> dict[str, list[str]]:
    """Have so many people known here, of whom the next pull has some news to tell, each of these kinds as often."""
    people: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for number in range(many):
        kind = kinds[number % len(kinds)]
        people[kind].append(f"{kind.replace(' ', '.')}.{number}@example.com")
    known = [one for kind in KINDS if kind != "new" for one in people[kind]]
    box.reset(*({"email": one, "lists": [FREE, NEWSLETTER, UNMANAGED]} for one in known))
    box.bind()
    Contact.objects.all().delete()
    Account.objects.update(pulled_to=None)
    assert turn().finished
    Contact.objects.filter(email__startswith="ours").update(
        claimed=True, desired_gen=1, applied_gen=1, synced_at=DatabaseNow(), seen_at=DatabaseNow()
    )
    for one in (*people["left"], *people["ours left"]):
        box.act(one, "leave", list=NEWSLETTER)
    for one in (*people["out"], *people["ours out"]):
        box.act(one, "unsubscribe")
    for one in people["edited"]:
        box.act(one, "edit", first_name="Augusta")
    for one in people["deleted"]:
        box.act(one, "delete")
    for one in people["new"]:
        box.add(one, FREE)
    box.forget()
    return people


@pytest.mark.sandbox
def test_a_page_costs_at_most_so_many_queries_whoever_is_on_it(connected: Sandbox) -> None:
    counts = []
    for many in (45, 500):
        people = news_of(connected, many)
        with CaptureQueriesContext(connection) as queries:
            told = turn()
        assert told.seen == many
        assert Contact.objects.filter(email__in=people["ours out"], status="do_not_mail").count() == many // 9
        assert Contact.objects.filter(email__in=people["new"]).count() == many // 9
        counts.append(len(queries) / told.pages)
        assert len(queries) <= MOST * told.pages
    assert counts[1] <= counts[0] * 2, "eleven times as many people are no more than twice as many queries"


@pytest.mark.sandbox
@pytest.mark.parametrize("kind", ["new", "out", "ours out"])
def test_a_full_page_of_one_kind_costs_no_more(connected: Sandbox, kind: str) -> None:
    news_of(connected, 500, [kind])
    with CaptureQueriesContext(connection) as queries:
        told = turn()
    assert told.seen == 500
    assert len(queries) <= MOST * told.pages


@pytest.mark.sandbox
def test_a_full_pull_asks_once_for_each_page(connected: Sandbox) -> None:
    many = by_wire(200, 2000)
    connected.reset(*({"email": f"p{number}@example.com", "lists": [FREE]} for number in range(many)))
    connected.bind()
    Account.objects.update(pulled_to=None)
    assert turn().seen == many
    # v1 tells 50 a page, of the members of each of three lists too; v3 500, with their lists
    assert len(connected.requests()) == by_wire(many // 50 * 2 + 2, many // 500)


class _Walked:
    """A wire of which only a walk through many strangers is needed."""

    SIZE = 100
    walks_lists = False
    asks_for_opt_outs = True

    def __init__(self, pages: int) -> None:
        self.pages = pages

    @staticmethod
    def is_own_id(_: str) -> bool:
        return True

    def walk(self, _lists: Sequence[str], _cursor: str = "") -> Iterator[Page]:
        for page in range(self.pages):
            ids = [f"{self.pages}-{page}-{number}" for number in range(_Walked.SIZE)]
            told = tuple(Sighting(one, f"{one}@example.com", ContactStatus.ACTIVE, frozenset({"1"})) for one in ids)
            yield Page(told, cursor=str(page + 1) if page + 1 < self.pages else "")


def peak_of(pages: int) -> int:
    """Return how much memory a full pull of so many pages takes at once, in bytes."""
    gate: Any = SimpleNamespace(begun=lambda: None)
    wire: Any = _Walked(pages)
    account = Account.objects.for_alias("default")
    Account.objects.update(walk_ended_at=F("walk_begun_at"), pulled_to=None)
    gc.collect()  # what other tests have left to be freed is not counted
    tracemalloc.start()
    assert pull.pull(Link(account, wire, gate), seconds=600).seen == pages * _Walked.SIZE
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.django_db(transaction=True)
def test_memory_does_not_grow_with_the_pages() -> None:
    peak_of(1)  # what is loaded once
    # 1,200 people more: their sightings alone would be more than this.
    assert peak_of(16) < peak_of(4) + 400_000
