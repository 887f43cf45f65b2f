"""What a full pull costs: ``python -m benchmarks.pull [contacts ...]``, 10,000 and 100,000 unless others are named.

The sandbox, in a process of its own, holds the contacts; a fresh process walks through them, once when none of them
is known yet and once more when all are. Told are the requests, the time that the processor works for one page (which
should be at most a tenth of the 250 ms that the limit of 4 calls a second leaves), and the memory at its highest.
``CTCT_TEST_API`` picks the wire, ``CTCT_TEST_DATABASE`` the database.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from multiprocessing import get_context
from typing import Any

import requests

from .site import site

SIZES = (10_000, 100_000)
LISTS = ("Free members", "Sustainers", "Newsletter", "Board")


def hold(contacts: int, told: Any) -> None:
    """Be a Constant Contact with so many contacts, until the parent hangs up."""
    from django_ctct.sandbox import serve
    from django_ctct.sandbox.values import Draft, ListDraft, Source

    with serve() as box:
        lists = [box.account.create_list(ListDraft(name)).id for name in LISTS]
        for number in range(contacts):
            on = frozenset(lists[: 1 + number % 3])
            box.account.create(
                Draft(f"p{number}@example.com", {"FirstName": "P", "LastName": "Q"}, on, Source.CUSTOMER)
            )
        told.send(box.url)
        told.recv()


def walk(url: str) -> None:
    """Walk through the account in this process, twice, and print what it took."""
    with site():
        from django.conf import settings
        from django.test import override_settings

        from django_ctct import pull, services
        from django_ctct.models import Account
        from tests.account import Sandbox

        box = Sandbox(url)
        pointed = box.point(settings.CTCT)
        account = {**pointed["ACCOUNTS"]["default"], "CALLS_PER_SECOND": 100_000, "CALLS_PER_DAY": 10_000_000}
        with override_settings(CTCT={**pointed, "ACCOUNTS": {"default": account}}):
            for round_ in ("none known", "all known"):
                requests.delete(f"{url}/_sandbox/requests", timeout=60)  # not by ``control``: it reads all bodies
                pages: list[float] = []
                last = [time.process_time()]

                def page(_: Any, pages: list[float] = pages, last: list[float] = last) -> None:
                    now = time.process_time()
                    pages.append((now - last[0]) * 1000)
                    last[0] = now

                Account.objects.update(pulled_to=None)
                started = time.perf_counter()
                with services.connect("default") as link:
                    outcome = pull.pull(link, seconds=3600, watch=page)
                took = time.perf_counter() - started
                told = {
                    "round": round_,
                    "requests": len(box.requests()),
                    "seen": outcome.seen,
                    "seconds": took,
                    "median": statistics.median(pages),
                    "worst tenth": statistics.quantiles(pages, n=10)[8],
                    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                }
                sys.stdout.write(json.dumps(told) + "\n")


def main() -> None:
    sizes = [int(one) for one in sys.argv[1:]] or list(SIZES)
    api = os.environ.get("CTCT_TEST_API", "v1")
    sys.stdout.write(f"over {api}; ms of work for a page: median and nine of ten; memory at its highest in MB\n")
    for size in sizes:
        ours, theirs = get_context("spawn").Pipe()
        holder = get_context("spawn").Process(target=hold, args=(size, theirs), daemon=True)
        holder.start()
        command = [sys.executable, "-m", "benchmarks.pull", "--walk", ours.recv()]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        ours.send("over")
        holder.join()
        for line in done.stdout.splitlines():
            one = json.loads(line)
            sys.stdout.write(
                f"  {size:>8,} {one['round']:11} {one['requests']:>5} requests, {one['seen']:>7,} seen in "
                f"{one['seconds']:6.1f} s; {one['median']:6.1f} {one['worst tenth']:6.1f} ms; {one['peak']:6.0f} MB\n"
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--walk"]:
        walk(sys.argv[2])
    else:
        main()
