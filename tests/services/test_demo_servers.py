"""The demo with servers that a machine has: PostgreSQL for its tables, Redis or RabbitMQ for its messages."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import FULL

psycopg = pytest.importorskip("psycopg")
pytestmark = [
    pytest.mark.services,
    pytest.mark.worker,
    pytest.mark.skipif(not FULL, reason="half a minute each: CTCT_TEST_FULL=1 runs them, as .ci/run does"),
]

PROJECT = Path(__file__).resolve().parents[2]
USER = os.environ.get("CTCT_TEST_POSTGRESQL_USER", "postgres")
BROKERS = {"redis": ("redis://127.0.0.1:6379/9", 6379), "rabbitmq": ("amqp://guest:guest@127.0.0.1:5672//", 5672)}


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def database() -> Iterator[str]:
    """A database of the test's own, by the address that the demo takes."""
    if not answers(5432):
        pytest.skip("no PostgreSQL answers on 127.0.0.1:5432")
    name = f"ctct_demo_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(host="127.0.0.1", user=USER, dbname="postgres", autocommit=True) as link:
        link.execute(f"CREATE DATABASE {name}")
        yield f"postgresql://{USER}@127.0.0.1:5432/{name}"
        link.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("broker", BROKERS)
def test_the_demo_plays_its_story_on_servers(database: str, broker: str, tmp_path: Path) -> None:
    url, port = BROKERS[broker]
    if not answers(port):
        pytest.skip(f"no {broker} answers on 127.0.0.1:{port}")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CTCT_", "DJANGO_"))}
    servers = {"CTCT_DEMO_BROKER": url, "CTCT_DEMO_DATABASE": database, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "manage.py", "demo", "--once", "--patience", "60"]
    ran = subprocess.run(command, cwd=PROJECT, env=kept | servers, text=True, capture_output=True, timeout=300)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-2000:]
    assert "✗" not in ran.stdout
    assert "each answers" in ran.stdout
