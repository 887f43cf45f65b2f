"""The site's Celery app: settings named ``CELERY_…``, tasks of all installed apps, and the package's schedule."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")

app = Celery("example_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.on_after_finalize.connect
def schedule(sender: Celery, **_: Any) -> None:
    """Take the package's schedule. Not at import: its tasks need the models, which are not loaded yet."""
    from django_ctct.tasks import BEAT_SCHEDULE

    sweep = {**BEAT_SCHEDULE["ctct-sweep"], "schedule": settings.DEMO_SWEEP_SECONDS}
    sender.conf.beat_schedule = {**BEAT_SCHEDULE, "ctct-sweep": sweep}
