"""The site's Celery app: settings named ``CELERY_…``, the package's schedule among them."""

from __future__ import annotations

import os

from celery import Celery

from . import broker  # noqa: F401 - the transport that the settings name

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")

app = Celery("example_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
