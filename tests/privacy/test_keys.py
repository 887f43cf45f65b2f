"""``ctct_keys``: hashed addresses get their name by the newest key, and it is said which key is still needed."""

from __future__ import annotations

from typing import Any

import pytest

from django_ctct import privacy, vault
from django_ctct.models import Account, Consent, Contact, DatabaseNow, FormerAddress, Suppression
from tests.commands.run import Ran, run

pytestmark = pytest.mark.django_db
ADA, BOB, GONE = "ada@example.com", "bob@example.com", "gone@example.com"


@pytest.fixture
def keys(settings: Any) -> Any:
    def use(*found: str) -> None:
        settings.CTCT = {**settings.CTCT, "SECRET_KEYS": list(found)}

    return use


def account() -> Account:
    return Account.objects.for_alias("default")


def consent(address: str, of: Contact | None = None) -> None:
    Consent.objects.create(
        account=account(),
        contact=of,
        address_hash=vault.address_hash(address),
        key="free",
        at=DatabaseNow(),
        method="x",
    )


def suppress(address: str, days: int = 0) -> Suppression:
    at = Account.objects.annotate(moment=DatabaseNow()).get().moment
    hashed = vault.address_hash(address)
    return Suppression.objects.create(
        account=account(), address_hash=hashed, at=at.replace(year=2030 + days), source="site"
    )


def people() -> None:
    """Ada and Bob, who have rows, and somebody who was erased, all under the key of now."""
    for address in (ADA, BOB):
        consent(address, Contact.objects.for_address(account(), address))
    consent(ADA)
    suppress(BOB)
    consent(GONE)
    suppress(GONE)


def by_newest() -> int:
    named = {"address_hash__startswith": f"{vault.key_names()[0]}:"}
    return Consent.objects.filter(**named).count() + Suppression.objects.filter(**named).count()


def told(ran: Ran) -> str:
    return ran.out.partition("newest key.\n")[2]


def test_hashes_of_known_addresses_are_renewed_and_the_others_named(keys: Any) -> None:
    old, new = vault.new_key(), vault.new_key()
    keys(old)
    people()
    keys(new, old)
    ran = run("ctct_keys")
    assert ran.code == 0
    assert told(ran).startswith("6 hashed addresses, of consents and erased people: 4 named anew.\n2 of them cannot")
    assert by_newest() == 4
    for address in (ADA, BOB):
        assert not Consent.objects.filter(address_hash=vault.address_hashes(address)[1]).exists()
    hashes = vault.address_hashes(GONE)
    assert Suppression.objects.filter(address_hash__in=hashes).count() == 1, "found under the older key"
    again = run("ctct_keys")
    assert "0 named anew" in again.out
    assert not any(one in ran.out for one in (old, new, "@"))


def test_without_a_new_key_nothing_is_renewed_and_nothing_is_warned_of(keys: Any) -> None:
    keys(vault.new_key())
    people()
    assert told(run("ctct_keys")) == "6 hashed addresses, of consents and erased people: 0 named anew.\n"


def test_with_no_hash_at_all_nothing_is_said(keys: Any) -> None:
    assert told(run("ctct_keys")) == ""


def test_a_key_that_was_taken_away_too_early_is_exit_code_1(keys: Any, settings: Any) -> None:
    old = vault.new_key()
    keys(old)
    people()
    keys(vault.new_key())
    ran = run("ctct_keys", "--verbosity", "0")
    assert ran.code == 1
    assert ran.out.startswith("6 of them were made with a key that is not in the settings: put it back")
    keys(vault.new_key(), old)
    assert run("ctct_keys").code == 0


def test_an_own_key_after_the_sites_secret_key_renews_too(keys: Any) -> None:
    people()
    keys(vault.new_key())
    assert privacy.renew_hashes() == privacy.Renewed(renewed=4, kept=2, lost=0, total=6)


def test_two_suppressions_of_one_address_become_one_with_the_later_time(keys: Any) -> None:
    old, new = vault.new_key(), vault.new_key()
    keys(old)
    Contact.objects.for_address(account(), ADA)
    later = suppress(ADA, days=2).at
    keys(new, old)
    suppress(ADA)
    privacy.renew_hashes()
    kept = Suppression.objects.get()
    assert (kept.address_hash, kept.at) == (vault.address_hash(ADA), later)


def test_an_address_that_is_being_given_up_counts_as_known(keys: Any) -> None:
    old, new = vault.new_key(), vault.new_key()
    keys(old)
    row = Contact.objects.for_address(account(), ADA)
    FormerAddress.objects.create(contact=row, email=BOB, at=DatabaseNow())
    consent(BOB, row)
    keys(new, old)
    assert privacy.renew_hashes().renewed == 1


def test_many_contacts_are_done_in_chunks(keys: Any) -> None:
    for number in range(7):
        consent(f"m{number}@example.com", Contact.objects.for_address(account(), f"m{number}@example.com"))
    keys(vault.new_key())
    assert privacy.renew_hashes(chunk=2).renewed == by_newest() == 7
