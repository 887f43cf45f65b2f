"""Settings of the example site: a demo, not a model for production.

Everything that it makes (database, messages, logs) lies in one directory. What can be elsewhere is said by
environment variables:

``CTCT_DEMO_DIRECTORY``  where everything is kept; ``.demo`` beside ``manage.py``
``CTCT_DEMO_DATABASE``   ``sqlite``, or ``postgresql://user:password@host:port/name``, or ``mysql://…``
``CTCT_DEMO_BROKER``     ``filesystem``, or ``redis://…``, ``amqp://…``
``CTCT_DEMO_API``        ``v3``, or ``v1``
``CTCT_BASE_URL``        whom to speak to; the sandbox on its usual port
``CTCT_OAUTH_URL``       v3: who gives consent, below that address
``CTCT_CLIENT_ID``, ``CTCT_CLIENT_SECRET``   v3: the application; the sandbox's own
``CTCT_USERNAME``, ``CTCT_API_KEY``, ``CTCT_PASSWORD``   v1: the account; the sandbox's own
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django_ctct.schedule import BEAT_SCHEDULE

BASE_DIR = Path(__file__).resolve().parent.parent
DEMO_DIRECTORY = Path(os.environ.get("CTCT_DEMO_DIRECTORY") or BASE_DIR / ".demo")
#: How often the sweep looks for what no message told of. A real site is well served by once a minute.
DEMO_SWEEP_SECONDS = float(os.environ.get("CTCT_DEMO_SWEEP_SECONDS") or 5.0)
CELERY_BEAT_SCHEDULE = {**BEAT_SCHEDULE, "ctct-sweep": {**BEAT_SCHEDULE["ctct-sweep"], "schedule": DEMO_SWEEP_SECONDS}}
#: Linked from the pages, where the sandbox has a page of its own.
CTCT_BASE_URL = os.environ.get("CTCT_BASE_URL") or "http://127.0.0.1:8900"

SECRET_KEY = "only for the demo, never for a real site"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]", "testserver"]
ROOT_URLCONF = "example_project.urls"
WSGI_APPLICATION = "example_project.wsgi.application"
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Other sites that are tried out on this machine have cookies too, and cookies know no ports.
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "heron_session", "heron_csrf"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_ctct",
    "example_project.members",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
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
                "example_project.members.context.surroundings",
            ]
        },
    }
]

_ENGINES = {"postgresql": "postgresql", "postgres": "postgresql", "mysql": "mysql", "mariadb": "mysql"}
_SQLITE = {
    "ENGINE": "django.db.backends.sqlite3",
    # Before the first demo there is no directory; commands that only look at the code need a database all the same.
    "NAME": DEMO_DIRECTORY / "site.sqlite3" if DEMO_DIRECTORY.is_dir() else ":memory:",
    # The site and the worker write at the same time: wait for each other, and do not start as a reader.
    "OPTIONS": {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    },
}


def _database(address: str) -> dict[str, Any]:
    if address in ("", "sqlite"):
        return _SQLITE
    parts = urlsplit(address)
    if parts.scheme not in _ENGINES:
        raise ValueError("CTCT_DEMO_DATABASE is 'sqlite' or begins with postgresql:// or mysql://.")
    return {
        "ENGINE": f"django.db.backends.{_ENGINES[parts.scheme]}",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": parts.port or "",
    }


DATABASES = {"default": _database(os.environ.get("CTCT_DEMO_DATABASE", ""))}

_OAUTH_URL = os.environ.get("CTCT_OAUTH_URL") or f"{CTCT_BASE_URL}/oauth2/default/v1"
_ACCOUNTS: dict[str, dict[str, Any]] = {
    "v3": {
        "BACKEND": "django_ctct.backends.json_v3.JSONBackend",
        "OPTIONS": {
            "client_id": os.environ.get("CTCT_CLIENT_ID") or "sandbox-client",
            "client_secret": os.environ.get("CTCT_CLIENT_SECRET") or "sandbox-secret",
            "base_url": CTCT_BASE_URL,
            "authorize_url": f"{_OAUTH_URL}/authorize",
            "token_url": f"{_OAUTH_URL}/token",
            "device_url": f"{_OAUTH_URL}/device/authorize",
        },
    },
    "v1": {
        "BACKEND": "django_ctct.backends.atom_v1.AtomBackend",
        "OPTIONS": {
            "username": os.environ.get("CTCT_USERNAME") or "acme",
            "api_key": os.environ.get("CTCT_API_KEY") or "sandbox-key",
            "password": os.environ.get("CTCT_PASSWORD") or "sandbox-password",
            "base_url": CTCT_BASE_URL,
        },
    },
}
#: The APIs that the demo can be played over, and the one that it is.
DEMO_APIS = tuple(_ACCOUNTS)
DEMO_API = os.environ.get("CTCT_DEMO_API") or "v3"
if DEMO_API not in DEMO_APIS:
    raise ValueError("CTCT_DEMO_API is 'v3' or 'v1'.")

CTCT = {
    "ACCOUNTS": {"default": _ACCOUNTS[DEMO_API]},
    "ADAPTERS": ["example_project.members.ctct.Members"],
    "KICK": os.environ.get("CTCT_DEMO_KICK") or "thread",
}

_BROKER = os.environ.get("CTCT_DEMO_BROKER") or "filesystem"
_MESSAGES = str(DEMO_DIRECTORY / "messages")

CELERY_BROKER_URL = "folder://" if _BROKER == "filesystem" else _BROKER  # example_project/broker.py
if _BROKER == "filesystem":
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": _MESSAGES,
        "data_folder_out": _MESSAGES,
        "control_folder": str(DEMO_DIRECTORY / "control"),
        "polling_interval": 0.2,
    }
elif _BROKER.startswith("redis"):
    CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": 5, "socket_connect_timeout": 5}
elif _BROKER.startswith("amqp"):
    CELERY_BROKER_TRANSPORT_OPTIONS = {"confirm_publish": True}
# A queue of its own: a broker may be shared, and the demo throws messages away to show that it may.
CELERY_TASK_DEFAULT_QUEUE = "ctct_demo"
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "UTC"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "filters": {"without_queries": {"()": "example_project.access_log.WithoutQueries"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "loggers": {
        "django_ctct": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "django.server": {
            "handlers": ["stderr"],
            "filters": ["without_queries"],
            "level": "INFO",
            "propagate": False,
        },
    },
}
