"""What a page of a feed costs: ``python -m benchmarks.feed [CONTACTS]``.

A sandbox with 100,000 contacts in a process of its own, walked over both wires; no database. A page has 500 contacts
on v3 and 50 on v1. The first column is the whole page, from asking to the sightings; the second is the processor's
time of this process, so the backend's own work (goal: a few milliseconds); what is left is the sandbox's (goal: 50).
Then what a look at the changes costs where nothing is new.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import Connection

from django_ctct.backends.atom_v1 import AtomBackend
from django_ctct.backends.base import BaseBackend
from django_ctct.backends.json_v3 import JSONBackend
from django_ctct.types import Page

CONTACTS = 100_000
#: As many pages are walked as there are, or this many.
PAGES = 200
LISTS = ("Free members", "Sustainers", "Newsletter")
TOKEN = "sandbox-token"


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else CONTACTS
    with sandbox(count) as url:
        v3 = JSONBackend({"base_url": url, "access_token": TOKEN})
        v1 = AtomBackend({"username": "acme", "base_url": url, "access_token": TOKEN})
        sys.stdout.write(f"{count:,} contacts, median and longest, in ms:            page           backend's work\n")
        for name, backend in (("v3", v3), ("v1", v1)):
            walked(f"{name}: a page of a walk", backend)
            nothing_new(f"{name}: a look at what changed", backend)
            backend.close()


def walked(what: str, backend: BaseBackend) -> None:
    lists = sorted(one.remote_id for one in backend.lists())
    told(what, islice(timed(backend.walk(lists)), PAGES))


def nothing_new(what: str, backend: BaseBackend) -> None:
    since = datetime.now(UTC) + timedelta(minutes=5)
    looks = (look for _ in range(20) for look in [sums(timed(backend.changes(since)))])
    told(what, looks)


def sums(times: Iterable[tuple[float, float]]) -> tuple[float, float]:
    whole, own = zip(*times, strict=True)
    return sum(whole), sum(own)


def timed(pages: Iterator[Page]) -> Iterator[tuple[float, float]]:
    """Yield what each page took (seconds): by the clock, and of the processor."""
    while True:
        clock, work = time.perf_counter(), time.process_time()
        if next(pages, None) is None:
            return
        yield time.perf_counter() - clock, time.process_time() - work


def told(what: str, times: Iterable[tuple[float, float]]) -> None:
    whole, own = zip(*times, strict=True)
    columns = (f"{statistics.median(each) * 1000:8.1f} {max(each) * 1000:7.1f}" for each in (whole, own))
    sys.stdout.write(f"  {what:46} {'   '.join(columns)}\n")


@contextmanager
def sandbox(count: int) -> Iterator[str]:
    """Run a full sandbox in another process, so that its work is not taken for ours; yield its address."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve_many, args=(count, there), daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        here.send("end")
        process.join(30)


def serve_many(count: int, pipe: Connection) -> None:
    from django_ctct.sandbox import serve
    from django_ctct.sandbox.values import ListDraft, Source

    with serve() as running:
        account = running.account
        numbers = [account.create_list(ListDraft(name)).id for name in LISTS]
        for place in range(count):
            blank = account.blank(f"m{place}@example.com", Source.CUSTOMER)
            on = {numbers[place % 2]: blank.opt_in, numbers[2]: blank.opt_in}
            account.put(replace(blank, fields={"FirstName": f"Kim {place}", "LastName": "Lee"}, memberships=on))
        pipe.send(running.url)
        pipe.recv()


if __name__ == "__main__":
    main()
