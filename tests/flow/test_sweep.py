from __future__ import annotations

from typing import Any

import pytest

from django_ctct import tasks
from django_ctct.exceptions import ConfigurationError
from django_ctct.models import Account
from tests.account import Sandbox
from tests.site.models import Member

pytestmark = pytest.mark.sandbox


def test_an_account_that_cannot_be_used_does_not_keep_the_others_from_the_sweep(
    connected: Sandbox, settings: Any
) -> None:
    Member.objects.create(email="ada@example.com")
    broken = {"BACKEND": "django_ctct.backends.json_v3.JSONBackend", "OPTIONS": {"client_id": "x"}}
    settings.CTCT = {**settings.CTCT, "ACCOUNTS": {"broken": broken, **settings.CTCT["ACCOUNTS"]}}
    Account.objects.create(alias="broken", tokens="sealed with a key that is gone")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        tasks.sweep()
    assert "ada@example.com" in connected.contacts()
