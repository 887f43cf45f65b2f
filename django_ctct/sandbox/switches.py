"""The doubts about the service, as switches: every UNCONFIRMED behaviour of the sheets, with a default.

They exist so that a client can be tried both ways. A switch changes what the sandbox does, never who may
use it. The defaults follow the sheet's suggestion, or the better evidence where it has some.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields, replace
from typing import Any


def _one_of(*choices: str, why: str) -> Any:
    """Declare a switch with named positions; the first is the default."""
    return field(default=choices[0], metadata={"choices": choices, "why": why})


def _on_off(default: bool, why: str) -> Any:
    return field(default=default, metadata={"why": why})


def _number(default: int, why: str, lowest: int = 1) -> Any:
    return field(default=default, metadata={"why": why, "lowest": lowest})


@dataclass(frozen=True, slots=True)
class Switches:
    """Hold the position of every switch; section numbers are those of the v1 sheet, ``v3 §`` the other's."""

    # Reading contacts
    email_miss: str = _one_of("empty", "error", why="§3.3: a search that finds nobody: empty feed, or 500")
    updatedsince_inclusive: bool = _on_off(True, "§3.3: is the bound itself part of the answer?")
    page_size: int = _number(50, "§3.2: fixed at 50; smaller pages make tests cheap")
    next_href: str = _one_of("path", "relative", why="§3.2: /ws/customers/…?next= or contacts?next=")
    next_token_life: int = _number(0, "§3.2, v3 §2.2: seconds until a next token, a cursor is refused; 0: never", 0)
    next_token_refusal: str = _one_of(
        "400", "404", why="§3.2, v3 §2.2, no word on it: the answer to a token, a cursor that expired"
    )
    lone_name: str = _one_of("plain", "comma", why="§3.1: a feed's Name of a contact with one name only")
    opt_out_shown: bool = _on_off(True, "§3.5, v3 §2.1: do OptOut… elements, opt_out_… keys stand there?")

    # Writing contacts
    put_omitted: str = _one_of("clear", "keep", why="§3.7: detail fields that a PUT leaves out")
    missing_contact_lists: str = _one_of(
        "remove_all", "reject", "keep", why="§3.7: a PUT without <ContactLists>; one client removes so"
    )
    empty_lists_need_optin: bool = _on_off(True, "§3.7: is a PUT of no lists without OptInSource a 400?")
    empty_lists_put: str = _one_of("accept", "reject", why="§3.7: may a PUT empty the lists at all?")
    legacy_remove_by_contact: bool = _on_off(False, "§6: emptying by contact; 400 since November 2013")
    list_check_before_duplicate: bool = _on_off(
        True, "§12.2: a POST of a known address on no list gave the list message, not 409"
    )
    unknown_list: str = _one_of("ignore", "reject", why="§7: an unknown list beside a valid one")
    taken_address_put: str = _one_of("409", "400", why="§3.7: a PUT onto another contact's address")
    location_scheme: str = _one_of("http", "https", "none", why="§3.4: the scheme of Location")
    keep_optin_on_kept_membership: bool = _on_off(True, "§6: does a PUT keep a kept list's source, time?")
    list_put_bumps_update: bool = _on_off(True, "§3.3: does a PUT of lists only move LastUpdateTime?")
    etag: bool = _on_off(False, "no evidence on v1: ETag on entries, If-Match on PUT (412)")

    # Opting out
    dnm_details_put: str = _one_of("refuse", "accept", why="§6: details of a Do Not Mail contact")
    dnm_refusal: str = _one_of("403", "400", "silent_ignore", why="§6: the answer; v2 once said 200, did 0")
    delete_again: str = _one_of("204", "404", why="§3.8: DELETE of a Do Not Mail contact")
    delete_source: str = _one_of("ACTION_BY_CUSTOMER", "ACTION_BY_CONTACT", why="§6: OptOutSource after DELETE")
    confirmed_optin: bool = _on_off(False, "§6: the account's setting; a contact's own join waits")

    # Lists
    contact_count: bool = _on_off(True, "§4.2: added about 2010")
    list_created_body: str = _one_of("capture", "entry", why="§4.3: 201 as captured, or as GET writes it")
    system_list_write: str = _one_of("403", "404", why="§4.3: PUT or DELETE of a system list")

    # The front of the house
    foreign_account: str = _one_of("403", "401", why="§1.1: credentials of another account")
    content_type: str = _one_of("typed", "plain", "xml", why="§1.5: the Content-Type of answers")
    error_body: str = _one_of("text", "xml", "html", why="§8: all three were seen")
    service_document: bool = _on_off(True, "§2: no longer served by November 2016")
    rate_limit: bool = _on_off(False, "§8: off, so that tests need not wait")
    calls_per_second: int = _number(4, "§8: the default of a key")
    calls_per_day: int = _number(10_000, "§8: the default of a key")
    over_limit: str = _one_of("403_mashery", "429", why="§8: v1's gateway, or v3's answer")

    # v3: reading contacts
    default_status: str = _one_of("non_deleted", "active", why="v3 §2.2: what a GET without status returns")
    lists_filter: str = _one_of("any", "all", why="v3 §2.2: on any of the lists named, or on all of them")
    email_case: str = _one_of("lower", "kept", "exact", why="v3 §2.2: stored lower, kept as sent, or searched exactly")
    cursor_extras: str = _one_of("400", "ignore", why="v3 §2.2: parameters beside a cursor")
    sms_only_listed: bool = _on_off(True, "v3 §2.1: are contacts without an address in the collection?")
    creation_visibility_lag: int = _number(0, "v3 §8.12: seconds until a new contact is in the collection", 0)
    xrefs: bool = _on_off(True, "v3 §2.9: will eventually be removed; then 404")
    xref_numbers: str = _one_of("v1", "v2", why="v3 §2.9: the numbers that it knows; v2's name other people here")
    last_page_links: str = _one_of("null", "absent", "empty", why="v3 §2.2: _links of the last page")

    # v3: writing contacts
    put_omitted_arrays: str = _one_of("keep", "null", why="v3 §2.5: sub-resources that a PUT leaves out")
    put_omitted_email: str = _one_of("null", "keep", "400", why="v3 §2.5: a PUT without email_address")
    put_omitted_permission: str = _one_of("reset", "keep", why="v3 §2.5: an email_address without permission_to_send")
    empty_lists_put_v3: str = _one_of("accept", "400", why="v3 §2.5: list_memberships: [] in a PUT")
    read_only_keys: str = _one_of("ignore", "400", why="v3 §2.5: contact_id, created_at and their kin in a PUT")
    unknown_list_v3: str = _one_of("400", "ignore", why="v3 §2.4, no word on it: a list that there is not")
    taken_words: str = _one_of(
        "id", "not_unique", why="v3 §2.4: does the 409 name the contact? The words of 2019 do not"
    )
    deleted_unsubscribe: str = _one_of(
        "400", "stays_deleted", "revives", why="v3 §2.5, §2.10: unsubscribing a deleted contact, on no list"
    )
    updated_bump_on_opt_out: bool = _on_off(True, "v3 §7: does an opt-out move updated_at? The wires share the time")
    updated_bump_on_list_change: bool = _on_off(True, "v3 §7: does a change of lists only move updated_at?")
    unsubscribed_keeps_lists: bool = _on_off(False, "v3 §2.8: do the lists survive an opt-out?")
    resubscribe_by_account: str = _one_of(
        "400", "ignore", "403", why="v3 §2.8: Account makes explicit whom Contact opted out"
    )
    v1_removed_in_v3: str = _one_of("on_no_list", "deleted", why="v3 §2.10: who is on no list by a write of v1")

    # v3: activities
    activity_delay: int = _number(0, "v3 §4: seconds until a bulk activity is completed", 0)
    activity_outcome: str = _one_of("completed", "failed", "cancelled", "timed_out", why="v3 §4: how activities end")
    activity_queue: int = _number(1000, "v3 §4: unfinished activities that an account may have")
    add_unsubscribed: str = _one_of("skip", "error", why="v3 §4: unsubscribed contacts in add_list_memberships")
    bulk_add_revives: bool = _on_off(True, "v3 §2.6: does add_list_memberships bring back the deleted?")

    # v3: the OAuth server and the front of the house
    auto_consent: bool = _on_off(False, "§11.1 of the v3 sheet: consent at once, without the page; for machines")
    access_token_life: int = _number(86_400, "v3 §1.3: expires_in; 28800 was seen too")
    refresh_tokens: str = _one_of("rotating", "long_lived", why="v3 §1.1: chosen per application")
    device_refresh_token: bool = _on_off(True, "v3 §1.1: does the device flow give one?")
    token_rate_limit: bool = _on_off(False, "v3 §1.4: one token request per second; off, as rate_limit is")
    oauth_error_shape: str = _one_of("oauth", "okta", "array", why="v3 §1.5: error, errorCode, or the API's array")
    user_role: str = _one_of("manager", "campaign_creator", why="v3 §1.6: the latter has no contacts: 403")

    def changed(self, changes: Mapping[str, object]) -> Switches:
        """Return the switches with ``changes``; raise ``ValueError`` with a sentence for a wrong one."""
        known = {each.name: each for each in fields(self)}
        positions: dict[str, Any] = {name: _position(known, name, value) for name, value in changes.items()}
        return replace(self, **positions)

    def as_dict(self) -> dict[str, bool | int | str]:
        """Return every position by name."""
        return asdict(self)


def _position(known: Mapping[str, Field[Any]], name: str, value: object) -> bool | int | str:
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        raise ValueError(f"There is no switch {name!r}." + (f" Did you mean {near[0]!r}?" if near else ""))
    default = known[name].default
    if isinstance(default, bool):
        return _truth(name, value)
    if isinstance(default, int):
        return _count(name, value, known[name].metadata["lowest"])
    return _choice(name, value, known[name].metadata["choices"])


def _truth(name: str, value: object) -> bool:
    word = str(value).lower()
    if word in ("true", "on", "yes", "1"):
        return True
    if word in ("false", "off", "no", "0"):
        return False
    raise ValueError(f"The switch {name!r} is true or false.")


def _count(name: str, value: object, lowest: int) -> int:
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit()) or not lowest <= int(text) <= 10**9:
        raise ValueError(f"The switch {name!r} is a whole number from {lowest} up.")
    return int(text)


def _choice(name: str, value: object, choices: tuple[str, ...]) -> str:
    if str(value) not in choices:
        raise ValueError(f"The switch {name!r} is one of: {', '.join(choices)}.")
    return str(value)
