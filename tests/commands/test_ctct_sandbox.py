"""``ctct_sandbox``: a Constant Contact to try things out, with the sandbox's own options."""

from __future__ import annotations

import signal
import subprocess

import pytest
import requests

from tests.commands.run import ROOT, environment, manage

pytestmark = [pytest.mark.sandbox, pytest.mark.django_db]


def test_it_prints_its_address_serves_and_ends_in_order_on_sigterm() -> None:
    words = manage("ctct_sandbox", "--port=0", "--list=Free members", "--quiet")
    with subprocess.Popen(words, env=environment(), cwd=ROOT, text=True, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            state = requests.get(f"{url}/_sandbox/state", timeout=10).json()
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
    assert [one["name"] for one in state["lists"]] == ["Free members"]


def test_its_help_is_the_sandboxes_own() -> None:
    ran = subprocess.run(
        manage("ctct_sandbox", "--help"), env=environment(), cwd=ROOT, text=True, capture_output=True, check=True
    )
    assert "--allow-remote" in ran.stdout


def test_a_wrong_option_is_the_sandboxes_error() -> None:
    ran = subprocess.run(
        manage("ctct_sandbox", "--port=0", "--switch=nonsense=1"),
        env=environment(),
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 2
    assert "The sandbox cannot start" in ran.stderr
    assert "Traceback" not in ran.stderr
