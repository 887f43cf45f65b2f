"""The README is tested like code: what it says can be typed, and what can be typed it says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import get_commands, load_command_class

import django_ctct
from django_ctct import conf, models
from django_ctct.adapters import MemberAdapter
from django_ctct.backends.atom_v1 import AtomBackend
from django_ctct.backends.json_v3 import JSONBackend
from django_ctct.backends.memory import MemoryBackend
from django_ctct.exceptions import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")

OURS = sorted(name for name, app in get_commands().items() if app == "django_ctct")
ROWS = ["S0a", "S0b", "S0c", "S0d", "S1a", "S1b", "S1c", "S2a", "S2b", "S2c", "S2d", "S2e", "S2f", "S3a", "S3b", "S3c"]
PROOFS = sorted(set(re.findall(r"`(tests/[\w/.]+::[\w:]+)`", README)))


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_its_first_two_blocks_are_for_the_shell_and_run_the_demo_and_the_tests() -> None:
    first = re.findall(r"^```(\w+)$", README, re.MULTILINE)[:2]
    demo, tests = _blocks("sh")[:2]
    assert first == ["sh", "sh"]
    assert demo.splitlines()[-1] == ".venv/bin/python manage.py demo"
    assert "-m pytest" in tests.splitlines()[-1]


def test_ci_runs_its_second_block_word_for_word() -> None:
    assert f"\n{_blocks('sh')[1]}" in CI


@pytest.mark.parametrize("name", OURS)
def test_it_names_every_command_with_every_option(name: str) -> None:
    row = next((line for line in README.splitlines() if line.startswith(f"| `{name}")), "")
    assert row, f"{name} is not in the table of commands"
    parser = load_command_class("django_ctct", name).create_parser("manage.py", name)
    django_own = set(load_command_class("django.core", "check").create_parser("manage.py", "x")._option_string_actions)
    for option in set(parser._option_string_actions) - django_own - {"--account", "--skip-checks"}:
        assert option in row, f"{option} of {name} is not mentioned"


def test_it_names_no_command_that_does_not_exist() -> None:
    known = {*OURS, "demo"}
    assert set(re.findall(r"\bctct_[a-z]+\b", README)) <= known


def _known_keys(ctct: Any, settings: Any) -> list[str]:
    """Return the keys that the settings reader knows, by asking it about one that it does not know."""
    settings.CTCT = ctct
    with pytest.raises(ConfigurationError, match="Known: ") as wrong:
        conf.read()
    return str(wrong.value).partition("Known: ")[2].rstrip(".").split(", ")


def test_it_has_a_row_for_every_key_of_the_settings(settings: Any) -> None:
    top = _known_keys({"0": None}, settings)
    account = _known_keys({"ACCOUNTS": {"default": {"0": None}}}, settings)
    assert len(top) >= 4
    assert len(account) >= 4
    for key in [*top, *account]:
        assert f"\n| `{key}` |" in README, f"CTCT key {key} has no row"


@pytest.mark.parametrize("word", [*JSONBackend.options, *AtomBackend.options, *MemoryBackend.options])
def test_it_names_every_option_of_the_wires(word: str) -> None:
    assert f"`{word}`" in README


@pytest.mark.parametrize("word", conf.KICKS)
def test_it_names_every_kick(word: str) -> None:
    assert f'`"{word}"`' in README


@pytest.mark.parametrize("name", sorted(MemberAdapter.__annotations__))
def test_it_names_every_attribute_of_an_adapter(name: str) -> None:
    assert f"`{name}`" in README.partition("The adapter class:")[2].partition("## ")[0]


def test_it_names_every_permission() -> None:
    own = [code for name in models.__all__ for code, _ in getattr(getattr(models, name), "_meta", _NoMeta).permissions]
    assert own
    for codename in own:
        assert f"`django_ctct.{codename}`" in README


class _NoMeta:
    permissions: tuple[tuple[str, str], ...] = ()


def test_its_adapter_is_the_example_projects() -> None:
    example = (ROOT / "example_project" / "members" / "ctct.py").read_text(encoding="utf-8")
    assert example in _blocks("python")


@pytest.mark.parametrize("block", _blocks("python"))
def test_its_python_can_be_parsed(block: str) -> None:
    ast.parse(block)


@pytest.mark.parametrize("row", ROWS)
def test_every_behaviour_has_a_row_with_a_proof(row: str) -> None:
    line = next((one for one in README.splitlines() if one.startswith(f"| {row} |")), "")
    assert "`tests/" in line


@pytest.mark.parametrize("proof", PROOFS)
def test_every_proof_exists(proof: str) -> None:
    path, *names = proof.split("::")
    body: list[Any] = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    for name in names:
        found = [one for one in body if getattr(one, "name", "") == name]
        assert found, f"{name} is not in {path}"
        body = getattr(found[0], "body", [])


def _links() -> Iterator[str]:
    yield from re.findall(r"\]\(([^)]+)\)", README)


def test_its_links_lead_somewhere() -> None:
    for link in _links():
        path, _, heading = link.partition("#")
        assert not path or (ROOT / path).is_file(), link
        assert not heading or heading in _headings(ROOT / path if path else ROOT / "README.md"), link


def _headings(page: Path) -> set[str]:
    found = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in found}


def test_the_changelog_has_this_version() -> None:
    assert re.search(rf"^## {re.escape(django_ctct.__version__)}\b", CHANGELOG, re.MULTILINE)
