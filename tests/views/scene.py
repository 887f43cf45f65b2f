"""People and links for the members' pages. Contacts are rows here; what is sent is tested over the sandbox."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import django
import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.utils import translation

from django_ctct import links
from django_ctct.links import Purpose, SignedLink
from django_ctct.models import Account, DatabaseNow, moment_of
from django_ctct.views.letters import post_room
from tests.admin import builders
from tests.admin.builders import account

__all__ = ["ADA", "Browser", "account", "all_of", "builders", "letters", "now", "old_link", "paths_in", "post_room"]

ADA = "ada@example.com"


class Browser(Client):
    """A visitor without a login, held to the CSRF check as every visitor is."""

    def __init__(self, **headers: Any) -> None:
        super().__init__(enforce_csrf_checks=True, headers=headers)

    def page(self, path: str) -> str:
        answer = self.get(path)
        assert answer.status_code == 200, answer.status_code
        return answer.content.decode()


def all_of(answer: Any) -> tuple[Any, ...]:
    """Return all that an answer tells a visitor. ``Expires`` is the time of day, in whole seconds."""
    headers = [(name, value) for name, value in answer.items() if name != "Expires"]
    return answer.status_code, answer.content, headers, answer.cookies.output()


def now() -> Any:
    """Return the database's time."""
    return moment_of(Account.objects.annotate(moment=DatabaseNow()).get(pk=account().pk))


def old_link(purpose: Purpose, age: timedelta, address: str = ADA, key: str = "") -> str:
    """Return the path of a link that was made some time ago."""
    made = now() - age
    token = links.seal(SignedLink(purpose, "default", address, made, made, key))
    return f"/ctct/{purpose.value}/{token}/"


def letters() -> list[mail.EmailMessage]:
    """Return the letters that went out, once all have."""
    assert post_room.wait(10)
    return mail.outbox


def paths_in(letter: mail.EmailMessage) -> list[str]:
    return re.findall(r"^http://testserver(/\S+)$", str(letter.body), re.MULTILINE)


@pytest.fixture(autouse=True)
def quiet_room(settings: Any) -> Iterator[None]:
    """Begin with nothing counted, and leave no letter to the next test."""
    if django.VERSION >= (6, 1):  # before, the test runner itself keeps letters in memory
        settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
    cache.clear()
    yield
    translation.deactivate()
    assert post_room.wait(10)
