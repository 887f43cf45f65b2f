"""Settings of the tests. ``CTCT_TEST_DATABASE`` picks the database: sqlite (default), memory,
postgresql or mariadb. ``CTCT_TEST_API`` picks the wire of the default account: v1 (default) or v3.

A worker process that a test starts gets ``CTCT_TEST_DATABASE_NAME`` and works on the test's own database.
"""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any

SECRET_KEY = "only for tests"
USE_TZ = True
TIME_ZONE = "America/New_York"  # not UTC, so that a naive time would show
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "tests.urls"
STATIC_URL = "static/"
ALLOWED_HOSTS = ["*"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_ctct",
    "tests.site",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]


def _speak_to_mariadb() -> None:
    """Let PyMySQL, which needs no compiler, stand in for mysqlclient, whose version Django asks for."""
    import pymysql

    pymysql.version_info = (2, 2, 7, "final", 0)
    pymysql.install_as_MySQLdb()


def _database() -> dict[str, Any]:
    kind, name = os.environ.get("CTCT_TEST_DATABASE", "sqlite"), os.environ.get("CTCT_TEST_DATABASE_NAME")
    if kind == "postgresql":
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": name or "postgres",
            "HOST": "127.0.0.1",
            "USER": os.environ.get("CTCT_TEST_POSTGRESQL_USER", "postgres"),
            "TEST": {"NAME": "test_ctct"},
        }
    if kind == "mariadb":
        _speak_to_mariadb()
        return {
            "ENGINE": "django.db.backends.mysql",
            "NAME": name or "test",
            "HOST": "127.0.0.1",
            "USER": os.environ.get("CTCT_TEST_MARIADB_USER", "root"),
            "OPTIONS": {"charset": "utf8mb4"},
            "TEST": {"NAME": "test_ctct", "CHARSET": "utf8mb4"},
        }
    if kind == "memory":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": name or os.path.join(tempfile.gettempdir(), "ctct.sqlite3"),
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
        },
        "TEST": {"NAME": os.path.join(tempfile.gettempdir(), f"test_ctct_{os.getpid()}.sqlite3")},
    }


DATABASES = {"default": _database()}

SANDBOX = os.environ.get("CTCT_TEST_SANDBOX", "http://127.0.0.1:9")
API = os.environ.get("CTCT_TEST_API", "v1")
WIRES: dict[str, dict[str, Any]] = {
    "v1": {
        "BACKEND": "django_ctct.backends.atom_v1.AtomBackend",
        "OPTIONS": {
            "username": "acme",
            "api_key": "sandbox-key",
            "password": "sandbox-password",
            "base_url": SANDBOX,
        },
    },
    "v3": {
        "BACKEND": "django_ctct.backends.json_v3.JSONBackend",
        "OPTIONS": {"client_id": "sandbox-client", "access_token": "sandbox-token", "base_url": SANDBOX},
    },
}

CTCT = {
    "ACCOUNTS": {
        "default": {
            **WIRES[API],
            "CALLS_PER_SECOND": float(os.environ.get("CTCT_TEST_CALLS_PER_SECOND", "1000")),
        }
    },
    "ADAPTERS": ["tests.site.ctct.Members"],
    "KICK": os.environ.get("CTCT_TEST_KICK", "off"),
}

CELERY_BROKER_URL = os.environ.get("CTCT_TEST_BROKER", "memory://")
CELERY_BROKER_TRANSPORT_OPTIONS = json.loads(os.environ.get("CTCT_TEST_BROKER_OPTIONS", "{}"))
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
