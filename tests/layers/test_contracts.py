"""The table of rooms is held by import-linter, and a contract that cannot break would hold nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("importlinter", reason="the lint group is not installed")

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "django_ctct"
if not PACKAGE.is_dir():
    pytest.skip("the package is tested as a wheel here, without its source", allow_module_level=True)

#: Who imports what he may not, and the contract that says so.
PLANTED = [
    ("models/contact.py", "from .. import outbox", "Every room has its place"),
    ("outbox.py", "from . import services", "Every room has its place"),
    ("catalogue.py", "from . import drain", "Every room has its place"),
    ("conf.py", "from . import outbox", "Every room has its place"),
    ("admin/__init__.py", "from ..management import health", "Every room has its place"),
    ("mirror.py", "from . import services", "The mirror knows no wire"),
    ("mirror.py", "from . import planning", "The mirror knows no wire"),
    ("services.py", "from . import mirror", "The remote half knows no site"),
    ("services.py", "from . import adapters", "The remote half knows no site"),
    ("acts.py", "from . import adapters", "The remote half knows no site"),
    ("adapters.py", "from . import models", "An adapter reads a member"),
    ("planning.py", "import django.utils.timezone", "The policy and the values are pure"),
    ("types.py", "import requests", "The policy and the values are pure"),
    ("models/account.py", "import requests", "The tables do no I/O"),
    ("models/account.py", "import socket", "The tables do no I/O"),
    ("ledger.py", "from . import conf", "The queue and the books"),
    ("permits.py", "from . import conf", "The queue and the books"),
    ("addresses.py", "from . import ledger", "Every room has its place"),
    ("backends/atom_v1.py", "from .. import models", "A wire knows values and errors"),
    ("services.py", "import requests", "Only backends imports requests"),
    ("receivers.py", "import celery", "Only tasks imports Celery"),
    ("tokens.py", "import cryptography", "Only the vault knows keys"),
    ("admin/consent.py", "import authlib", "Only the vault knows keys"),
    ("tokens.py", "from . import ledger", "Every room has its place"),
    ("environment.py", "from . import tokens", "Every room has its place"),
    ("backends/oauth2.py", "from .. import conf", "A wire knows values and errors"),
    ("tokens.py", "import requests", "Only backends imports requests"),
    ("kick.py", "import kombu", "Only tasks imports Celery"),
    ("moving.py", "import requests", "Only backends imports requests"),
    ("moving.py", "import celery", "Only tasks imports Celery"),
    ("moving.py", "from . import adapters", "The remote half knows no site"),
    ("moving.py", "from .sandbox import Account as Remote", "Only the memory backend"),
    ("privacy.py", "from . import adapters", "The remote half knows no site"),
    ("urls.py", "import requests", "Only backends imports requests"),
    ("templatetags/ctct.py", "import kombu", "Only tasks imports Celery"),
    ("sandbox/account.py", "from django_ctct import types", "The sandbox shares no code"),
    ("sandbox/account.py", "import django", "The sandbox shares no code"),
    ("services.py", "from .sandbox import Account as Remote", "Only the memory backend"),
    ("backends/http.py", "from ..sandbox import account", "Only the memory backend"),
]


def _lint(where: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", "import sys; from importlinter.cli import lint_imports_command as run; run()"]
    return subprocess.run([*words, "--no-cache"], cwd=where, text=True, capture_output=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package and its contracts, to plant things in."""
    shutil.copytree(PACKAGE, tmp_path / "django_ctct", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_all_contracts_are_kept() -> None:
    ran = _lint(ROOT)
    assert ran.returncode == 0, ran.stdout
    assert " 0 broken." in ran.stdout


@pytest.mark.parametrize(("room", "line", "contract"), PLANTED)
def test_a_planted_import_breaks_its_contract(copy: Path, room: str, line: str, contract: str) -> None:
    module = copy / "django_ctct" / room
    module.write_text(module.read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")
    ran = _lint(copy)
    broken = [one for one in ran.stdout.splitlines() if " BROKEN" in one]
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert any(one.startswith(contract) for one in broken), ran.stdout


def test_every_room_but_the_sandbox_is_named_where_the_sandbox_is_forbidden() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    named = next(one["source_modules"] for one in contracts if one["name"].startswith("Only the memory backend"))
    rooms = {one.stem for one in PACKAGE.iterdir() if one.suffix == ".py" or (one / "__init__.py").exists()}
    assert set(named) == {f"django_ctct.{one}" for one in rooms - {"__init__", "sandbox", "migrations"}}


def test_a_room_that_is_not_in_the_table_is_noticed(copy: Path) -> None:
    (copy / "django_ctct" / "shed.py").write_text('"""A room that nobody planned."""\n', encoding="utf-8")
    ran = _lint(copy)
    assert ran.returncode == 1
    assert "shed" in ran.stdout
