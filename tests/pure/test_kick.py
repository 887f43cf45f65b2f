"""The kick: a request never waits for the broker, whatever the broker does."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from django_ctct.kick import Kicker


def test_many_kicks_are_one_hint() -> None:
    gate, published = threading.Event(), []

    def publish(alias: str) -> None:
        gate.wait(5)
        published.append(alias)

    kicker = Kicker(publish)
    kicker.kick("default")
    time.sleep(0.05)
    for _ in range(100):
        kicker.kick("default")
    gate.set()
    assert kicker.wait(5)
    assert published == ["default", "default"], "one under way, one for all that came meanwhile"


def test_a_broker_that_hangs_costs_the_request_nothing() -> None:
    gate = threading.Event()
    kicker = Kicker(lambda alias: gate.wait(30) and None)
    slowest = 0.0
    for _ in range(200):
        started = time.perf_counter()
        kicker.kick("default")
        slowest = max(slowest, time.perf_counter() - started)
    assert slowest < 0.5, "far below any broker's timeout; the figure itself is benchmarked"
    assert not kicker.wait(0.01)
    gate.set()


def test_after_a_refusal_the_broker_is_left_alone_for_a_while(caplog: pytest.LogCaptureFixture) -> None:
    tried = []

    def publish(alias: str) -> None:
        tried.append(alias)
        raise ConnectionRefusedError("amqp://user:secret@broker")

    kicker = Kicker(publish)
    for _ in range(3):
        kicker.kick("default")
        assert kicker.wait(5)
    assert tried == ["default"]
    assert "ConnectionRefusedError" in caplog.text
    assert "secret" not in caplog.text


def test_a_forked_child_has_a_kicker_of_its_own() -> None:
    code = (
        "import os, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "from django_ctct.kick import Kicker\n"
        "k = Kicker(lambda alias: print('published', os.getpid() == parent, flush=True))\n"
        "parent = os.getpid()\n"
        "k.kick('a'); k.wait(5)\n"
        "child = os.fork()\n"
        "k.kick('a'); k.wait(5)\n"
        "if child: os.waitpid(child, 0)\n"
        "else: os._exit(0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert sorted(done.stdout.split("\n")) == ["", "published False", "published True", "published True"]


def test_the_end_of_the_process_waits_no_longer_than_two_seconds() -> None:
    code = (
        "import time\n"
        "from django_ctct.kick import Kicker\n"
        "k = Kicker(lambda alias: time.sleep(60))\n"
        "k.kick('a'); time.sleep(0.1)\n"
    )
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", code], timeout=30, check=True, env={**os.environ})
    assert time.monotonic() - started < 6, "two seconds of waiting, and the start of Python"
