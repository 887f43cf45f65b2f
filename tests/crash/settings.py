"""The tests' settings, with a backend under which a drain kills itself where it is told to."""

from __future__ import annotations

from tests.settings import *  # noqa: F403
from tests.settings import API as _API
from tests.settings import CTCT as _CTCT

_mortal = {"v1": "tests.crash.points.MortalAtom", "v3": "tests.crash.points.MortalJSON"}[_API]
_default = {**_CTCT["ACCOUNTS"]["default"], "BACKEND": _mortal}
CTCT = {**_CTCT, "ACCOUNTS": {"default": _default}}
