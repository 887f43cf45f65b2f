"""The tests' settings for worker processes whose account is connected by consent."""

from __future__ import annotations

import json
import os

from tests.settings import *  # noqa: F403
from tests.settings import CTCT as _CTCT

CTCT = {**_CTCT, "ACCOUNTS": json.loads(os.environ["CTCT_TEST_ACCOUNTS"])}
