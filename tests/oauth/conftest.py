"""Fixtures: an OAuth server that runs here, and the site connected to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from django_ctct.backends.memory import account_named

from . import site
from .server import TokenServer, running_server


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with running_server() as running:
        yield running


@pytest.fixture
def consenting(server: TokenServer, settings: Any) -> TokenServer:
    """The test site, set up for a consent that nobody has given yet."""
    settings.CTCT = site.settings_for(settings.CTCT, server)
    account_named("oauth").reset()
    return server


@pytest.fixture
def joined(consenting: TokenServer, db: None) -> TokenServer:
    """The test site, connected."""
    site.connect(consenting)
    return consenting
