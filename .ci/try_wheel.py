"""Try the built wheel as a stranger would: in an empty directory, in an environment that holds nothing else.

It makes a site of one settings file there and checks that Django accepts it, that the tables can be made, that
the commands run, and that all files are inside that a package can lose on its way into a wheel.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import urllib.request
import venv
from pathlib import Path

SETTINGS = """
SECRET_KEY = "only to try the wheel"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "static/"
INSTALLED_APPS = [
    "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
    "django.contrib.messages", "django.contrib.sessions", "django_ctct",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]},
}]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.sqlite3"}}
CTCT = {
    "ACCOUNTS": {"default": {
        "BACKEND": "django_ctct.backends.atom_v1.AtomBackend",
        "OPTIONS": {"username": "acme", "api_key": "key", "password": "password"},
    }},
}
"""
#: The files that are no Python modules, or that nothing imports.
EXPECTED = ("py.typed", "migrations/0001_initial.py", "sandbox/page.html", "management/commands/ctct_drain.py")


def main(wheel: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="ctct-wheel-") as name:
        place = Path(name)
        python = _environment(place / "venv", wheel)
        (place / "settings.py").write_text(SETTINGS, encoding="utf-8")
        _check_files(place, python)
        for words in (["check"], ["makemigrations", "--check", "--dry-run"], ["migrate", "-v0"], ["ctct_purge"]):
            _run(place, python, "-m", "django", *words)
        _check_sandbox(place, python)


def _environment(where: Path, wheel: Path) -> Path:
    venv.create(where, with_pip=True)
    python = where / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(wheel)], check=True)
    return python


def _run(place: Path, python: Path, *words: str) -> str:
    print("$", "python", *words, flush=True)
    environ = {**os.environ, "DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": str(place)}
    ran = subprocess.run([python, *words], cwd=place, env=environ, check=True, text=True, stdout=subprocess.PIPE)
    print(ran.stdout, end="", flush=True)
    return ran.stdout


def _check_files(place: Path, python: Path) -> None:
    package = Path(_run(place, python, "-c", "import django_ctct; print(django_ctct.__path__[0])").strip())
    source = Path(__file__).resolve().parent.parent / "django_ctct"
    wanted = {one.relative_to(source) for one in source.rglob("*") if one.is_file() and "__pycache__" not in one.parts}
    missing = sorted(str(one) for one in {*wanted, *map(Path, EXPECTED)} if not (package / one).is_file())
    if missing:
        sys.exit(f"The wheel lacks {', '.join(missing)}.")
    print(f"all {len(wanted)} files of the package are in the wheel")


def _check_sandbox(place: Path, python: Path) -> None:
    words = [python, "-m", "django_ctct.sandbox", "--port", "0", "--quiet"]
    with subprocess.Popen(words, cwd=place, text=True, stdout=subprocess.PIPE) as sandbox:
        try:
            assert sandbox.stdout is not None
            url = sandbox.stdout.readline().strip()
            with urllib.request.urlopen(f"{url}/_sandbox/state", timeout=10) as answer:
                print(f"the sandbox answered {answer.status}")
        finally:
            sandbox.terminate()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
