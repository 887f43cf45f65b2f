"""The command: run as many seeds as one likes, in several processes."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from multiprocessing import get_context
from typing import Any

#: Each wrong design of ``mutants``, and the first seed that found it when that was last counted.
NEEDED = {
    "clear_before_work": 0,
    "dirty_boolean": 53,
    "no_sweep": 0,
    "no_verify": 26,
    "timeout_is_success": 1,
    "too_many_is_final": 1,
    "unmanaged_wiped": 1,
    "no_guard": 1,
    "guard_on_our_state_only": 0,
    "consent_without_time": 3,
    "consent_for_all_lists": 1,
    "always_her_own_act": 0,
    "no_merge": 1,
    "no_journal": 43,
    "leaving_is_forgotten": 2,
    "no_lease_and_no_verify": 3,
    "lease_without_end": 0,
    "payload_in_the_message": 0,
    "cached_read": 0,
    "zombie_says_done": 26,
    "gives_up": 51,
    "opt_out_by_rule": 0,
    "permit_on_an_old_wish": 331,
    "opt_out_lowered": 165,
}

#: Designs that so few seeds find are looked for in every test run, the others in ``.ci/run``.
SOON = 5

#: Designs rarer than this are hunted by name only.
RARE = 100

#: A planted design stays as long as the process.
_planted: list[Any] = []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=0, help="go on with new seeds for this long")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--show", type=int, help="replay one seed and print its trace")
    parser.add_argument("--mutant", default="", help="plant a wrong design (see tests.simulation.mutants)")
    parser.add_argument("--hunt", action="store_true", help="for each wrong design, the first seed that finds it")
    parser.add_argument("--proof", action="store_true", help="find again what few seeds have found before")
    options = parser.parse_args()
    if options.proof:
        return prove(options)
    if options.hunt:
        return hunt(options)
    seeds = (
        range(options.show, options.show + 1)
        if options.show is not None
        else range(options.first, options.first + options.seeds)
    )
    return report(options, list(seeds))


def report(options: argparse.Namespace, seeds: list[int]) -> int:
    started, totals, failed = time.monotonic(), Counter[str](), []
    with get_context("spawn").Pool(min(options.jobs, len(seeds)), prepare, (options.mutant,)) as pool:
        for run in pool.imap(play, seeds, chunksize=5 if len(seeds) > 20 else 1):
            totals.update(run.counts)
            if options.show is not None:
                sys.stdout.write("\n".join(run.trace) + "\n")
            if run.violation:
                failed.append(run.seed)
                sys.stdout.write(f"seed {run.seed}: {run.violation}\n")
    took = time.monotonic() - started
    figures = ", ".join(
        f"{totals[name]} {name}" for name in ("reads", "writes", "crashes", "pauses", "late", "suppressed")
    )
    sys.stdout.write(f"{len(seeds)} seeds in {took:.0f} s: {len(failed)} failed; {figures}\n")
    return 1 if failed else 0


def hunt(options: argparse.Namespace) -> int:
    """Look for the first seed that finds each wrong design. Exit code 1 when one is not found."""
    chosen = [options.mutant] if options.mutant else [name for name, needed in NEEDED.items() if needed <= RARE]
    survivors = 0
    with get_context("spawn").Pool(options.jobs, prepare, ("",)) as pool:
        ranges = [(name, options.first, options.seeds) for name in chosen]
        for name, seed, violation in pool.imap(find, ranges):
            survivors += seed is None
            sys.stdout.write(f"{name:26} {'-' if seed is None else seed:>5}  {violation}\n")
            sys.stdout.flush()
    return 1 if survivors else 0


def prove(options: argparse.Namespace) -> int:
    """Find again what few seeds have found before. Exit code 1 when a wrong design survives."""
    survivors = 0
    chosen = [(name, options.first, 60) for name, needed in NEEDED.items() if needed <= SOON]
    with get_context("spawn").Pool(options.jobs, prepare, ("",)) as pool:
        for name, seed, violation in pool.imap(find, chosen):
            survivors += seed is None
            sys.stdout.write(f"{name:26} {'survived' if seed is None else f'found by seed {seed}: {violation}'}\n")
    return 1 if survivors else 0


def find(wanted: tuple[str, int, int]) -> tuple[str, int | None, str]:
    """Plant one wrong design and run seeds until one of them finds it."""
    from .mutants import MUTANTS
    from .run import simulate

    name, first, count = wanted
    with MUTANTS[name]():
        for seed in range(first, first + count):
            run = simulate(seed)
            if run.violation:
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


def play(seed: int):  # type: ignore[no-untyped-def]  # Run needs Django to be set up
    from .run import simulate

    return simulate(seed)
