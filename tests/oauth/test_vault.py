"""Secrets at rest: sealed with the newest key, readable with the older ones, and a loud error with a wrong one."""

from __future__ import annotations

from typing import Any

import pytest

from django_ctct import conf, vault
from django_ctct.exceptions import ConfigurationError

SECRET = "canary-secret"


@pytest.fixture
def keys(settings: Any) -> Any:
    """Set the keys."""

    def use(*found: str) -> None:
        settings.CTCT = {**settings.CTCT, "SECRET_KEYS": list(found)}

    return use


def test_what_is_sealed_shows_nothing_and_can_be_read_again() -> None:
    sealed = vault.seal(SECRET)
    assert SECRET not in sealed
    assert vault.unseal(sealed) == SECRET
    assert vault.seal(SECRET) != sealed


def test_without_keys_of_its_own_the_sites_secret_key_is_used_and_its_fallbacks_read(settings: Any) -> None:
    sealed = vault.seal(SECRET)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", ["only for tests"]
    assert vault.unseal(sealed) == SECRET
    assert not vault.is_newest(sealed)
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(ConfigurationError, match="SECRET_KEY_FALLBACKS"):
        vault.unseal(sealed)


def test_the_newest_key_seals_and_older_ones_read(keys: Any) -> None:
    old, new = vault.new_key(), vault.new_key()
    keys(old)
    sealed = vault.seal(SECRET)
    keys(new, old)
    assert vault.unseal(sealed) == SECRET
    keys(new)
    with pytest.raises(ConfigurationError):
        vault.unseal(sealed)


def test_rotation_lets_an_old_key_go(keys: Any) -> None:
    old, new = vault.new_key(), vault.new_key()
    keys(old)
    sealed = vault.seal(SECRET)
    keys(new, old)
    anew = vault.reseal(sealed)
    keys(new)
    assert vault.unseal(anew) == SECRET
    assert vault.is_newest(anew)


def test_keys_of_its_own_can_be_added_to_a_site_that_had_none(keys: Any) -> None:
    sealed = vault.seal(SECRET)
    keys(vault.new_key())
    assert vault.unseal(sealed) == SECRET


@pytest.mark.parametrize("change", [lambda it: it[:-6] + "AAAA==", lambda it: "", lambda it: "plain", lambda it: "é"])
def test_what_was_tampered_with_is_a_loud_error_and_never_handed_out(change: Any) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read") as caught:
        vault.unseal(change(vault.seal(SECRET)))
    assert caught.value.__cause__ is None
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("wrong", ["one-text", 7, ["short"], [b"bytes"], ["é" * 44], [vault.new_key()[:-2]], [None]])
def test_keys_that_are_none_are_named_by_their_place_and_not_shown(settings: Any, wrong: Any) -> None:
    settings.CTCT = {**settings.CTCT, "SECRET_KEYS": wrong}
    with pytest.raises(ConfigurationError, match="SECRET_KEYS") as caught:
        conf.read()
    assert "short" not in str(caught.value)


def test_keys_are_not_in_the_repr_of_the_settings(keys: Any) -> None:
    key = vault.new_key()
    keys(key)
    assert key not in repr(conf.read())


def test_an_address_has_a_name_by_each_key_and_none_tells_it(keys: Any) -> None:
    old, new = vault.new_key(), vault.new_key()
    keys(old)
    before = vault.address_hash("ada@example.com")
    keys(new, old)
    names = vault.address_hashes("ada@example.com")
    assert (names[0], names[1]) == (vault.address_hash("ada@example.com"), before)
    assert len(set(names)) == 3, "the site's SECRET_KEY has one too"
    assert tuple(one.partition(":")[0] for one in names) == vault.key_names()
    assert not any("ada" in one for one in names)
    assert vault.address_hash("bob@example.com") != names[0]


def test_a_key_that_is_named_twice_counts_once(keys: Any) -> None:
    key = vault.new_key()
    keys(key, key)
    assert len(vault.key_names()) == 2
