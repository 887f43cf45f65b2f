"""What a member's ``save()`` gains in time: ``python -m benchmarks.save``.

Each round saves one member three ways, in turns, so that the machine's moods hit all alike: with our receivers
off, on with an unchanged wish, and on with a changed wish. No broker is near: the kick is in the other file.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from .site import site

ROUNDS = 1000


def timed(act: Callable[[], Any]) -> float:
    started = time.perf_counter()
    act()
    return (time.perf_counter() - started) * 1000


def main() -> None:
    with site():
        from django.db.models.signals import post_save

        from tests.site.models import Member

        member = Member.objects.create(email="ada@example.com")
        ours = list(post_save.receivers)
        without: list[float] = []
        same: list[float] = []
        changed: list[float] = []

        def connect(receivers: list[Any]) -> None:
            post_save.receivers = receivers
            post_save.sender_receivers_cache.clear()

        for _ in range(ROUNDS):
            connect([])
            without.append(timed(member.save))
            connect(ours)
            same.append(timed(member.save))
            member.is_free, member.is_sustainer = member.is_sustainer, member.is_free
            changed.append(timed(member.save))
        report(without, same, changed)


def report(without: list[float], same: list[float], changed: list[float]) -> None:
    base = statistics.median(without)
    sys.stdout.write(f"member.save(), median and 99th percentile of {ROUNDS}, in ms\n")
    for name, times in (("without the app", without), ("wish unchanged", same), ("wish changed", changed)):
        middle, high = statistics.median(times), statistics.quantiles(times, n=100)[98]
        gain = f"+{middle - base:.2f} ms, {middle / base:.1f} times" if times is not without else ""
        sys.stdout.write(f"  {name:16} {middle:7.2f} {high:8.2f}   {gain}\n")


if __name__ == "__main__":
    main()
