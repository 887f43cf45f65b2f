"""What a site puts into Celery's beat, ready to be taken in its settings: nothing is imported here.

The sweep finds what no hint told of, the mirror what no signal told of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["BEAT_SCHEDULE"]

BEAT_SCHEDULE: Mapping[str, Mapping[str, Any]] = {
    "ctct-sweep": {"task": "django_ctct.sweep", "schedule": 60.0, "options": {"expires": 60}},
    "ctct-mirror-all": {"task": "django_ctct.mirror_all", "schedule": 86_400.0},
}
