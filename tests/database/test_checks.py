"""The checks of the broker's settings and of the database's guard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery
from django.core.checks import CheckMessage
from django.db import connection

from django_ctct import checks
from django_ctct.models import WriteAttempt
from django_ctct.schedule import BEAT_SCHEDULE
from tests.site.ctct import Members

Check = Callable[[], list[CheckMessage]]

RABBITMQ = {"broker_url": "amqp://127.0.0.1:1//", "broker_transport_options": {"confirm_publish": True}}


def found(settings: Any, check: Check = checks.check_broker, *, kick: str = "thread", **conf: Any) -> list[str]:
    settings.CTCT = {**settings.CTCT, "KICK": kick}
    app = Celery("checked", set_as_current=True)
    app.conf.update({"beat_schedule": dict(BEAT_SCHEDULE), "broker_url": "filesystem://", **conf})
    try:
        return [str(one.id) for one in check()]
    finally:
        app.close()


@pytest.mark.parametrize(
    ("conf", "expected"),
    [
        ({}, []),
        ({"broker_url": "redis://127.0.0.1:1/0"}, ["django_ctct.W011"]),
        (
            {
                "broker_url": "redis://127.0.0.1:1/0",
                "broker_transport_options": {"socket_timeout": 5, "socket_connect_timeout": 5},
            },
            [],
        ),
        ({"broker_url": "sentinel://127.0.0.1:1;sentinel://127.0.0.1:2"}, ["django_ctct.W011"]),
        ({"broker_url": "amqp://127.0.0.1:1//"}, ["django_ctct.W012"]),
        (RABBITMQ, []),
        ({**RABBITMQ, "broker_connection_timeout": None}, ["django_ctct.W015"]),
        ({**RABBITMQ, "broker_connection_timeout": 0}, ["django_ctct.W015"]),
        ({**RABBITMQ, "broker_connection_timeout": 60}, ["django_ctct.W015"]),
        ({"task_always_eager": True}, ["django_ctct.W010"]),
        ({"task_publish_retry": False}, ["django_ctct.W013"]),
        ({"beat_schedule": {}}, ["django_ctct.W014"]),
    ],
)
def test_celery_settings_that_block_or_lose_are_named(settings: Any, conf: dict[str, Any], expected: list[str]) -> None:
    assert found(settings, **conf) == expected


V1: dict[str, Any] = {
    "BACKEND": "django_ctct.backends.atom_v1.AtomBackend",
    "OPTIONS": {"username": "acme", "api_key": "key", "password": "password"},
}
V3: dict[str, Any] = {
    "BACKEND": "django_ctct.backends.json_v3.JSONBackend",
    "OPTIONS": {"client_id": "id", "access_token": "token"},
}


@pytest.mark.parametrize(
    ("entry", "field", "refused"),
    [
        (V1, "custom:15", False),
        (V1, "custom:16", True),
        (V1, "custom:Tier", True),  # v1 numbers its fields
        (V3, "custom:1", False),
        (V3, "custom:Tier", False),  # v3 names them
        (V3, "custom:the tier", True),  # and no name has a blank
        (V3, "compani_name", True),
    ],
)
def test_a_field_that_the_wire_does_not_have_is_an_error(
    settings: Any, monkeypatch: pytest.MonkeyPatch, entry: dict[str, Any], field: str, refused: bool
) -> None:
    settings.CTCT = {**settings.CTCT, "ACCOUNTS": {"default": entry}}
    monkeypatch.setattr(Members, "fields", {field: "employer"})
    wrong = [one for one in checks.check_settings() if one.id == "django_ctct.E004"]
    assert bool(wrong) is refused
    assert all(f"names {field!r}" in str(one.msg) for one in wrong)


@pytest.mark.parametrize(("multiplier", "expected"), [(4, ["django_ctct.W016"]), (0, ["django_ctct.W016"]), (1, [])])
def test_a_deployment_is_asked_for_workers_that_take_one_message(
    settings: Any, multiplier: int, expected: list[str]
) -> None:
    assert found(settings, checks.check_prefetch, worker_prefetch_multiplier=multiplier) == expected


def test_a_site_that_publishes_nothing_is_asked_nothing(settings: Any) -> None:
    assert found(settings, kick="off", task_always_eager=True) == []
    assert found(settings, checks.check_prefetch, kick="off") == []
    settings.CTCT = None
    assert checks.check_broker() == checks.check_prefetch() == []


@pytest.mark.django_db(transaction=True)
def test_a_database_without_its_guard_is_an_error() -> None:
    assert checks.check_guard(databases=["default"]) == []
    constraints = WriteAttempt._meta.constraints
    guard = next(one for one in constraints if one.name == "ctct_no_add_after_opt_out")
    WriteAttempt._meta.constraints = [one for one in constraints if one is not guard]
    try:
        with connection.schema_editor() as editor:
            editor.remove_constraint(WriteAttempt, guard)
    finally:
        WriteAttempt._meta.constraints = constraints
    try:
        assert [one.id for one in checks.check_guard(databases=["default"])] == ["django_ctct.E010"]
    finally:
        with connection.schema_editor() as editor:
            editor.add_constraint(WriteAttempt, guard)
    assert checks.check_guard(databases=["default"]) == checks.check_guard(databases=None) == []
