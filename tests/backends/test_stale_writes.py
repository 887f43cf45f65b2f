"""A write must be on its way soon after its permit, whatever the wire has to do before it (v3: token, own fields)."""

from __future__ import annotations

import time
from typing import Any

import pytest
import responses

from django_ctct.backends.json_v3 import JSONBackend
from django_ctct.conf import AccountSettings
from django_ctct.exceptions import RemoteConflict
from django_ctct.quota import AccountGate

from .builders import permit
from .json_builders import FREE, KIM_URL, V3, contact, read

pytestmark = pytest.mark.django_db


def gate() -> AccountGate:
    return AccountGate(AccountSettings("default", "x.y", {}, calls_per_second=10_000))


class SlowTokens:
    """A store that takes long to renew a token that was refused."""

    def current(self) -> str:
        return "old"

    def instead_of(self, refused: str) -> str:
        time.sleep(0.4)
        return "new"


def test_a_write_whose_second_token_took_long_is_not_sent_again() -> None:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as wire:
        existing = read(wire, contact())
        wire.put(KIM_URL, status=401, json={"error_key": "unauthorized"})
        wire.put(KIM_URL, json=contact())
        one = gate()
        one.send_by = time.time() + 0.3
        backend = JSONBackend({"client_id": "x"}, gate=one, tokens=SlowTokens())
        with pytest.raises(RemoteConflict, match="too long"):
            backend.update(existing, permit(lists=[FREE], fields={"first_name": "Kim"}))
        assert [call.request.method for call in wire.calls if call.request.method == "PUT"] == ["PUT"]


def test_a_write_that_waited_for_the_names_of_the_accounts_own_fields_is_not_sent() -> None:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as wire:
        existing = read(wire, contact())

        def slowly(_: Any) -> tuple[int, dict[str, str], str]:
            time.sleep(0.4)
            return 200, {}, '{"custom_fields": []}'

        wire.add_callback("GET", f"{V3}/contact_custom_fields", slowly)
        wire.put(KIM_URL, json=contact())
        one = gate()
        one.send_by = time.time() + 0.3
        backend = JSONBackend({"access_token": "t0k.en"}, gate=one)
        with pytest.raises(RemoteConflict, match="too long"):
            backend.update(existing, permit(lists=[FREE], fields={"first_name": "Kim", "custom:tier": "gold"}))
        assert "PUT" not in [call.request.method for call in wire.calls]


def test_a_write_that_was_never_sent_leaves_no_limit_to_the_next_reading() -> None:
    one = gate()
    one.send_by = time.time() - 1
    one.begun()
    one.acquire()
