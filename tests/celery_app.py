"""The test site's Celery app, for worker processes that tests start."""

from __future__ import annotations

import os

from celery import Celery

import example_project.broker  # noqa: F401  makes the scheme "folder" known

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

app = Celery("tests")
app.config_from_object("django.conf:settings", namespace="CELERY")

app.autodiscover_tasks()
