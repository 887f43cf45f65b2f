"""The command: run as many seeds as one likes, in several processes."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing import get_context
from typing import Any

#: Each wrong design of ``mutants``, and the first seed that found it when that was last counted.
NEEDED = {
    "clear_before_work": 1,
    "dirty_boolean": 24,
    "no_wish_numbers": 40,
    "no_sweep": 0,
    "no_verify": 277,
    "timeout_is_success": 4,
    "redirect_is_success": 1,
    "too_many_is_final": 74,
    "unmanaged_wiped": 6,
    "no_guard": 0,
    "guard_on_our_state_only": 0,
    "consent_without_time": 0,
    "consent_for_all_lists": 62,
    "always_her_own_act": 1,
    "no_merge": 1,
    "no_journal": 27,
    "no_quarantine": 53,
    "leaving_is_forgotten": 11,
    "no_lease_and_no_verify": 40,
    "lease_without_end": 0,
    "payload_in_the_message": 1,
    "cached_read": 1,
    "zombie_says_done": 277,
    "gives_up": 103,
    "opt_out_by_rule": 4,
    "permit_on_an_old_wish": 325,
    "opt_out_lowered": 59,
    "news_is_forgotten": 1,
    "adds_do_not_wait_for_news": 6,
    "sent_before_approval": 0,
    "walk_ends_unseen": 15,
    "opt_outs_stay_behind": 7,
}

#: Wrong designs that no seed finds on this make, though earlier makes did, and how many seeds were tried.
SOUGHT = {"journal_ends_with_do_not_mail": 2250}

#: A proof begins with the seed that found a design, and goes on so far where that one does not find it any more.
ON = 60

#: A planted design stays as long as the process.
_planted: list[Any] = []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=0, help="go on with so many new seeds at a time")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--wire", choices=("memory", "v1", "v3"), default="memory")
    parser.add_argument("--weather", type=float, default=1.0, help="how rough it is: 0.05 is a twentieth")
    parser.add_argument("--show", type=int, help="replay one seed and print its trace")
    parser.add_argument("--mutant", default="", help="plant a wrong design (see tests.simulation.mutants)")
    parser.add_argument("--hunt", action="store_true", help="for each wrong design, the first seed that finds it")
    parser.add_argument(
        "--proof", action="store_true", help="find each wrong design again, near the seed that found it"
    )
    options = parser.parse_args()
    if options.proof:
        return prove(options)
    if options.hunt:
        return hunt(options)
    if options.show is not None:
        options.first, options.seeds, options.jobs = options.show, 1, 1
    return report(options)


def report(options: argparse.Namespace) -> int:
    """Run seeds, as many as were asked for or for as many minutes; name each that fails."""
    started, totals, failed, count = time.monotonic(), Counter[str](), list[int](), 0
    with get_context("spawn").Pool(min(options.jobs, options.seeds), prepare, (options.mutant,)) as pool:
        for run in runs(options, pool):
            count += 1
            totals.update(run.counts)
            if options.show is not None:
                sys.stdout.write("\n".join(run.trace) + "\n")
            if run.violation:
                failed.append(run.seed)
                sys.stdout.write(f"seed {run.seed}: {run.violation}\n")
                sys.stdout.flush()
    took = time.monotonic() - started
    names = (
        "changes",
        "reads",
        "writes",
        "crashes",
        "pauses",
        "late",
        "pages",
        "restores",
        "wished",
        "suppressed",
        "withheld in doubt",
    )
    figures = ", ".join(f"{totals[name]} {name}" for name in names)
    sys.stdout.write(f"{count} seeds over {options.wire} in {took:.0f} s: {len(failed)} failed; {figures}\n")
    return 1 if failed else 0


def runs(options: argparse.Namespace, pool: Any) -> Iterator[Any]:
    """Yield run after run: of the seeds that were asked for, or of ever new ones while there is time."""
    ends = time.monotonic() + options.minutes * 60
    first, size = options.first, options.seeds
    while True:
        plays = [(seed, options.wire, options.weather) for seed in range(first, first + size)]
        yield from pool.imap(play, plays, chunksize=5 if size > 20 else 1)
        first += size
        if time.monotonic() >= ends:
            return


def hunt(options: argparse.Namespace) -> int:
    """Look for the first seed that finds each wrong design. Exit code 1 when one is not found."""
    chosen = [options.mutant] if options.mutant else [*NEEDED, *SOUGHT]
    survivors = 0
    with get_context("spawn").Pool(options.jobs, prepare, ("",)) as pool:
        ranges = [(name, options.first, options.seeds) for name in chosen]
        for name, seed, violation in pool.imap(find, ranges):
            survivors += seed is None
            sys.stdout.write(f"{name:26} {'-' if seed is None else seed:>5}  {violation}\n")
            sys.stdout.flush()
    return 1 if survivors else 0


def prove(options: argparse.Namespace) -> int:
    """Find each wrong design again, by the seed that found it or one soon after. Exit code 1 when one survives."""
    survivors = 0
    chosen = [(name, needed, ON) for name, needed in NEEDED.items()]
    with get_context("spawn").Pool(options.jobs, prepare, ("",)) as pool:
        for name, seed, violation in pool.imap(find, chosen):
            survivors += seed is None
            sys.stdout.write(f"{name:26} {'survived' if seed is None else f'found by seed {seed}: {violation}'}\n")
    return 1 if survivors else 0


def find(wanted: tuple[str, int, int]) -> tuple[str, int | None, str]:
    """Plant one wrong design and run seeds until one of them finds it: one that the right code passes."""
    from .mutants import MUTANTS
    from .run import simulate

    name, first, count = wanted
    for seed in range(first, first + count):
        with MUTANTS[name]():
            run = simulate(seed)
        if run.violation and not simulate(seed).violation:
            return name, seed, run.violation
    return name, None, "survived"


def prepare(mutant: str) -> None:
    """Give a process of the pool a database of its own in memory."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    os.environ["CTCT_TEST_DATABASE"] = "memory"
    import logging

    import django
    from django.db import connection

    django.setup()
    logging.disable(logging.CRITICAL)
    connection.creation.create_test_db(verbosity=0)
    if mutant:
        from .mutants import MUTANTS

        _planted.append(MUTANTS[mutant]())
        _planted[-1].__enter__()


def play(what: tuple[int, str, float]):  # type: ignore[no-untyped-def]  # Run needs Django to be set up
    from .run import simulate
    from .scheduler import Rates

    seed, wire, weather = what
    return simulate(seed, Rates().scaled(weather), wire=wire)
