"""The simulator in the test run: seeds that must hold, wrong designs that must be found, and replay.

``CTCT_TEST_SEEDS`` says how many seeds (200); ``.ci/run`` runs 2,000.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .command import NEEDED, SOUGHT

ROOT = Path(__file__).resolve().parents[2]
SEEDS = int(os.environ.get("CTCT_TEST_SEEDS", "200"))
SHARE = 50


def command(*options: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--jobs", "1", *options],
        cwd=os.environ.get("CTCT_TEST_ROOT", ROOT),
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.mark.parametrize("first", range(0, SEEDS, SHARE))
def test_every_invariant_holds_whatever_the_seed_brings(first: int) -> None:
    done = command("--first", str(first), "--seeds", str(min(SHARE, SEEDS - first)))
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 failed" in done.stdout


def test_every_wrong_design_is_found_again() -> None:
    done = command("--proof")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("found by seed") == len(NEEDED)


def test_every_planted_design_is_on_the_list() -> None:
    from .mutants import MUTANTS

    assert set(MUTANTS) == {*NEEDED, *SOUGHT}


def test_a_seed_replays_the_same_in_another_process() -> None:
    """The order of Python's sets differs between processes; the run must not depend on it."""
    traces = [command("--show", "7", PYTHONHASHSEED=seed).stdout.rpartition("\n1 seeds")[0] for seed in ("1", "2")]
    assert traces[0] == traces[1]
    assert len(traces[0].splitlines()) > 20
