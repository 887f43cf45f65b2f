"""The tests' settings, with a backend under which a drain kills itself where it is told to."""

from __future__ import annotations

from tests.settings import *  # noqa: F403
from tests.settings import CTCT as _CTCT

_default = {**_CTCT["ACCOUNTS"]["default"], "BACKEND": "tests.crash.points.MortalBackend"}
CTCT = {**_CTCT, "ACCOUNTS": {"default": _default}}
