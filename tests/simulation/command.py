"""The command: run as many seeds as one likes, in several processes."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from multiprocessing import get_context
from typing import Any

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
    options = parser.parse_args()
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
