"""The example site's pages, run where they live: in the example project's settings, in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


def in_the_example_project(arguments: list[str], directory: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("CTCT_", "PYTEST_", "COV_"))}
    environment |= {
        "DJANGO_SETTINGS_MODULE": "example_project.settings",
        "CTCT_DEMO_DIRECTORY": str(directory),
        "CTCT_DEMO_KICK": "off",
    }
    return subprocess.run(
        [sys.executable, *arguments], cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=120
    )


def test_the_pages_of_the_example_site(tmp_path):
    options = ["--ds=example_project.settings", "-p", "no:cacheprovider", "-q", f"--basetemp={tmp_path / 'inner'}"]
    ended = in_the_example_project(["-m", "pytest", *options, "tests/demo/site_pages.py"], tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert " passed" in ended.stdout


def test_the_example_project_passes_djangos_checks(tmp_path):
    ended = in_the_example_project(["manage.py", "check"], tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_example_project_lacks_no_migration(tmp_path):
    ended = in_the_example_project(["manage.py", "makemigrations", "--check", "--dry-run", "members"], tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("CTCT_DEMO_DATABASE", "oracle://x", "CTCT_DEMO_DATABASE is 'sqlite' or begins with postgresql://"),
        ("CTCT_DEMO_API", "v2", "CTCT_DEMO_API is 'v3' or 'v1'"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_said_so(tmp_path, name, value, told):
    program = f"import os; os.environ['{name}'] = '{value}'; import example_project.settings"
    ended = in_the_example_project(["-c", program], tmp_path)
    assert ended.returncode != 0
    assert told in ended.stderr
