"""Set the stage for the tests of an installed wheel: an empty directory with the tests and what they read.

The package's own source is left out, so that only the wheel can be imported. It fails when the wheel or a
version is not the one that the environment's name promises (``CTCT_EXPECTED``).
"""

from __future__ import annotations

import os
import shutil
import sys
from fnmatch import fnmatch
from importlib import metadata, util
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
READ_BY_TESTS = (
    "tests",
    "example_project",
    "docs",
    ".ci",
    "manage.py",
    "pyproject.toml",
    "tox.ini",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
)


def main(stage: Path) -> None:
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(parents=True)
    for name in READ_BY_TESTS:
        copy(ROOT / name, stage / name)
    check_that_the_wheel_is_imported()
    for promise in os.environ["CTCT_EXPECTED"].split():
        check_version(promise)


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".demo"))
    elif source.exists():
        shutil.copy(source, target)


def check_that_the_wheel_is_imported() -> None:
    found = util.find_spec("django_ctct")
    if found is None or not found.origin or Path(found.origin).is_relative_to(ROOT / "django_ctct"):
        sys.exit(f"django_ctct would be imported from {found and found.origin}, not from the wheel.")


def check_version(promise: str) -> None:
    name, _, pattern = promise.partition("==")
    version = metadata.version(name)
    if not fnmatch(version, pattern):
        sys.exit(f"{name} {version} is installed where {pattern} is meant.")
    print(f"{name} {version}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
