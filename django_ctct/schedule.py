"""What a site puts into Celery's beat, ready to be taken in its settings: nothing is imported here.

The sweep finds what no hint told of, the mirror what no signal told of, the pull what happened over there.
Old writes are deleted once a day.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["BEAT_SCHEDULE"]

BEAT_SCHEDULE: Mapping[str, Mapping[str, Any]] = {
    "ctct-sweep": {"task": "django_ctct.sweep", "schedule": 60.0, "options": {"expires": 60}},
    "ctct-pull": {"task": "django_ctct.pull", "schedule": 300.0, "options": {"expires": 300}},
    "ctct-pull-all": {"task": "django_ctct.pull_all", "schedule": 86_400.0},
    "ctct-tidy": {"task": "django_ctct.tidy", "schedule": 86_400.0},
    "ctct-mirror-all": {"task": "django_ctct.mirror_all", "schedule": 86_400.0},
}
