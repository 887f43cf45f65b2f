"""How long a change is under way: ``python -m benchmarks.trip``.

A real worker, the sandbox over HTTP, and a broker in files: no server is needed. First, single changes, one after
another, from the commit to the confirmation (goal R7: half of them within 2 s, 99 of 100 within 10 s, at the rate
that Constant Contact allows). Then two queues of contacts in turns, one of them with a contact whose every write
fails (goal R14: the others are at most 1 % later; one of 1,000 is asked for, one of 400 is harder).
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from .site import site

CHANGES = 100
QUEUE = 400
TURNS = 3


def main() -> None:
    with site(), tempfile.TemporaryDirectory() as folder:
        from django.conf import settings
        from django.test import override_settings

        from django_ctct.sandbox import serve
        from tests.account import Sandbox

        with serve() as running:
            box = Sandbox(running.url)
            with override_settings(CTCT={**box.point(settings.CTCT), "KICK": "thread"}):
                box.reset()
                box.bind()
                single_changes(box, Path(folder))
            pointed = box.point(settings.CTCT)
            account = {**pointed["ACCOUNTS"]["default"], "CALLS_PER_DAY": 1_000_000}
            with override_settings(CTCT={**pointed, "ACCOUNTS": {"default": account}}):
                head_of_line(box)


def single_changes(box: Any, folder: Path) -> None:
    from django_ctct.models import Contact
    from tests.site.models import Member
    from tests.worker import environment, folder_broker, running_worker

    with (
        folder_broker(folder, polling=0.2) as broker,
        running_worker(environment(box.url, CTCT_TEST_CALLS_PER_SECOND="4", **broker), folder / "worker.log"),
    ):
        waits = [one_change(Member, Contact, number) for number in range(CHANGES)]
    high = statistics.quantiles(waits, n=100)[98]
    sys.stdout.write(f"{CHANGES} single changes, from commit to confirmation, in s:  median    99 %     max\n")
    sys.stdout.write(f"  {statistics.median(waits):55.2f} {high:7.2f} {max(waits):7.2f}\n")


def one_change(members: Any, contacts: Any, number: int) -> float:
    """Save a member and wait until her contact is in sync; return the seconds."""
    email = f"m{number}@example.com"
    started = time.perf_counter()
    members.objects.create(email=email)
    while not contacts.objects.filter(email=email, applied_gen__gte=1).exists():
        assert time.perf_counter() - started < 60, "the change did not arrive"
        time.sleep(0.02)
    return time.perf_counter() - started


def head_of_line(box: Any) -> None:
    from django_ctct import drain
    from django_ctct.models import Contact, WriteAttempt
    from tests.site.models import Member

    took: dict[str, list[float]] = {"healthy": [], "with a poison": []}
    for _ in range(TURNS):
        for kind, times in took.items():
            Member.objects.all().delete()
            WriteAttempt.objects.all().delete()
            Contact.objects.all().delete()
            box.reset()
            box.bind()
            if kind != "healthy":
                box.fault("GET *poison*", "status", status=500, body="Error 500: sorry", times=10_000)
            for number in range(QUEUE):
                Member.objects.create(email="poison@example.com" if number == 0 else f"q{number}@example.com")
            started = time.perf_counter()
            drain.drain("default", seconds=300)
            times.append(time.perf_counter() - started)
            done = Contact.objects.filter(applied_gen__gte=1).count()
            assert done >= QUEUE - 1, f"only {done} arrived"
    sys.stdout.write(f"{QUEUE} contacts, median of {TURNS} drains:\n")
    healthy, poisoned = (statistics.median(times) for times in took.values())
    sys.stdout.write(f"  healthy {healthy:.2f} s, with a poison {poisoned:.2f} s: {poisoned / healthy - 1:+.1%}\n")


if __name__ == "__main__":
    main()
