"""Fixtures that several folders share: a sandbox over HTTP, and a site that is connected to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from django_ctct.sandbox import RunningSandbox, serve

from .account import Sandbox

hypothesis_settings.register_profile(
    "default", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
hypothesis_settings.load_profile("default")


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[RunningSandbox]:
    """One sandbox process-wide; tests reset its account."""
    with serve() as box:
        yield box


@pytest.fixture
def box(running_sandbox: RunningSandbox) -> Sandbox:
    """A fresh account at the sandbox, driven by its JSON controls only."""
    sandbox = Sandbox(running_sandbox.url)
    sandbox.reset()
    return sandbox


@pytest.fixture
def connected(box: Sandbox, settings: Any, transactional_db: None) -> Sandbox:
    """The test site, connected to a sandbox with three bound lists and one that is not managed."""
    settings.CTCT = box.point(settings.CTCT)
    box.bind()
    return box
