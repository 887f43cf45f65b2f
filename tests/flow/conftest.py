"""What several tests of the trip need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.flow.eventful import PATH, Events, events


@pytest.fixture
def meanwhile(settings: Any) -> Iterator[Events]:
    """Let things happen between two steps of a worker."""
    account = {**settings.CTCT["ACCOUNTS"]["default"], "BACKEND": PATH}
    settings.CTCT = {**settings.CTCT, "ACCOUNTS": {"default": account}}
    yield events
    events.clear()
