"""Fixtures that several folders share: a sandbox over HTTP, and a site that is connected to it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from celery.signals import before_task_publish
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from django_ctct.sandbox import RunningSandbox, serve

from .account import Sandbox
from .canary import Canary

hypothesis_settings.register_profile(
    "default", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
hypothesis_settings.load_profile("default")


@pytest.fixture(scope="session")
def canary() -> Iterator[Canary]:
    """Listen to all that the package logs and sends, over the whole suite."""
    bird, logger = Canary(), logging.getLogger("django_ctct")
    logger.addHandler(bird)
    before, _ = logger.level, logger.setLevel(logging.INFO)  # the root's own is WARNING, and INFO would not arise
    before_task_publish.connect(bird.see_message, weak=False)
    yield bird
    before_task_publish.disconnect(bird.see_message)
    logger.setLevel(before)
    logger.removeHandler(bird)


@pytest.fixture(autouse=True)
def nothing_leaks(canary: Canary) -> Iterator[None]:
    """Fail any test under which something personal or secret was logged or sent."""
    canary.take()
    yield
    assert canary.take() == []


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[RunningSandbox]:
    """One sandbox process-wide; tests reset its account."""
    with serve() as box:
        yield box


@pytest.fixture
def box(running_sandbox: RunningSandbox) -> Iterator[Sandbox]:
    """A fresh account at the sandbox, driven by its JSON controls only. What v3's rules forbid fails the test."""
    running_sandbox.sandbox.journal.clear()
    sandbox = Sandbox(running_sandbox.url)
    sandbox.reset()
    yield sandbox
    assert sandbox.breaches() == []


@pytest.fixture
def connected(box: Sandbox, settings: Any, transactional_db: None) -> Sandbox:
    """The test site, connected to a sandbox with three bound lists and one that is not managed."""
    settings.CTCT = box.point(settings.CTCT)
    box.bind()
    return box
