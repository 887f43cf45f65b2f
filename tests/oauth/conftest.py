"""Fixtures: an OAuth server that runs here, and the site connected to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from django_ctct.backends.memory import account_named
from tests.sandbox.v3_rules import client_faults

from . import site
from .server import Asked, TokenServer, running_server


def as_exchange(one: Asked) -> dict[str, Any]:
    """Return a request to this server as the rules know one to Constant Contact's."""
    headers = {name.lower(): value for name, value in one.headers.items()}
    return {"method": "POST", "path": f"/oauth2/default/v1{one.path}", "headers": headers, "body": urlencode(one.form)}


@pytest.fixture
def server() -> Iterator[TokenServer]:
    """A token endpoint. What is asked of it is held to the published rules."""
    with running_server() as running:
        yield running
        asked = list(running.asked)
    assert [each for one in asked for each in client_faults(as_exchange(one))] == []


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
