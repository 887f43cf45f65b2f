"""Fixtures of the pages' tests."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client

from tests.site.models import Member

from . import builders


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    """Nobody attacks these passwords."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def client_of(db: None) -> Callable[..., Client]:
    """Log in as staff with exactly these permissions, by codename."""

    numbers = count()

    def log_in(*permissions: str, csrf: bool = False) -> Client:
        client = Client(enforce_csrf_checks=csrf)
        client.force_login(builders.staff(*permissions, name=f"sam{next(numbers)}"))
        return client

    return log_in


@pytest.fixture
def chief(db: None) -> Client:
    """A client who may do everything."""
    client = Client()
    client.force_login(builders.chief())
    return client


@pytest.fixture
def member_pages() -> Any:
    """Let the site have an admin page for its members."""
    admin.site.register(Member)
    from django.urls import clear_url_caches

    _forget_urls(clear_url_caches)
    yield
    admin.site.unregister(Member)
    _forget_urls(clear_url_caches)


def _forget_urls(clear: Callable[[], None]) -> None:
    import importlib
    import sys

    importlib.reload(sys.modules["tests.urls"])
    clear()
