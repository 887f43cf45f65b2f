"""The tests' settings for processes that stand on real servers: a queue of their own, a schedule, real limits."""

from __future__ import annotations

import os

from django_ctct.schedule import BEAT_SCHEDULE
from tests.settings import *  # noqa: F403
from tests.settings import CTCT as _CTCT

ROOT_URLCONF = "tests.services.urls"

_queue = os.environ["CTCT_TEST_QUEUE"]
_default = {
    **_CTCT["ACCOUNTS"]["default"],
    "CALLS_PER_SECOND": float(os.environ.get("CTCT_TEST_CALLS_PER_SECOND", "1000")),
}
CTCT = {**_CTCT, "ACCOUNTS": {"default": _default}, "QUEUE": _queue}

CELERY_TASK_DEFAULT_QUEUE = _queue
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
#: The package's own sweep, as often as a test can bear to wait.
CELERY_BEAT_SCHEDULE = {"ctct-sweep": {**BEAT_SCHEDULE["ctct-sweep"], "schedule": 1.0}}
