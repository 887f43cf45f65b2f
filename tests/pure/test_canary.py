"""The canary sings."""

from __future__ import annotations

import logging
from hashlib import sha256
from secrets import token_urlsafe
from uuid import UUID

import pytest

from django_ctct import vault
from django_ctct.sandbox.account import Account
from django_ctct.sandbox.grants import Consent, Grants
from tests.canary import Canary

LEAKS = {
    "an address": "ada@example.com",
    "an address in a URL": "/contacts?email=ada%40EXAMPLE.com",
    "a first name": "made Ada",
    "a last name": "Mrs Lovelace, and others",
    "a name with letters of its own": "('Zoë',)",
    "a fixed token": "Bearer sandbox-token",
    "a client's secret": "Basic canary-client-secret",
    "an access token": "canary-access-0123abcd",
    "a refresh token": "canary-refresh-0123abcd",
    "a device's code": "canary-device",
    "words of the server": "canary-description",
    "what was sealed": "gAAAAABnQ-xyz_0123456789",
}


@pytest.mark.parametrize("text", LEAKS.values(), ids=LEAKS)
def test_a_leak_is_heard_in_a_record_its_traceback_and_a_message(canary: Canary, text: str) -> None:
    logger = logging.getLogger("django_ctct.services")
    logger.info("contact 1: %s", text)
    try:
        raise ValueError(text)
    except ValueError:
        logger.exception("contact 1 failed")
    canary.see_message("django_ctct.drain", ([text], {}, {}))
    assert [one.partition(" of ")[0].partition(" for ")[0] for one in canary.take()] == [
        "a log record",
        "a log record",
        "a message",
    ]


def test_what_the_vault_seals_and_what_the_sandbox_issues_is_heard(canary: Canary) -> None:
    """Their shapes are the canary's, and not only those of the examples above."""
    told = Grants(Account()).grant(Consent(frozenset({"contact_data"}), public=False, offline=True))
    for text in (vault.seal("x"), told["access_token"], told["refresh_token"], token_urlsafe(32)):
        logging.getLogger("django_ctct.tokens").info("account default: %s", text)
        assert len(canary.take()) == 1


@pytest.mark.parametrize(
    "text",
    [
        "timeout (tried again later)",
        "Canada, an adapter and a canary",
        "graceful stop, hopper empty",
        f"{UUID(int=7)} {sha256().hexdigest()}",
    ],
)
def test_what_may_be_said_is_not_heard(canary: Canary, text: str) -> None:
    logging.getLogger("django_ctct.services").info("contact 1: %s", text)
    assert canary.take() == []
