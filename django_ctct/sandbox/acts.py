"""What people do in the web pages of the service: contacts by the mail footer, the owner by the account's site.

It exists so that the page and the controls offer the same acts, and a test can set a scene. It goes round the
doors, not round the account's rules: the owner cannot bring back who has opted out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from django_ctct.sandbox.account import Account
from django_ctct.sandbox.fields import element_name
from django_ctct.sandbox.profile import Permission
from django_ctct.sandbox.values import (
    Contact,
    Draft,
    ListDraft,
    OptOut,
    Refusal,
    Refused,
    Source,
    Status,
)

_OWN_WORDS = frozenset(
    {
        *("email", "lists", "status", "source", "confirmed", "opt_out_source", "opt_out_reason", "do", "list", "to"),
        *("permission", "deleted"),
    }
)


def act(account: Account, given: Mapping[str, Any]) -> None:
    """Do one act; raise ``ValueError`` with a sentence, or ``Refused``."""
    name = given.get("do")
    if not isinstance(name, str) or name not in _ACTS:
        raise ValueError(f"The act is one of: {', '.join(_ACTS)}.")
    with account.lock:
        _ACTS[name](account, given)


def reset(account: Account, given: Mapping[str, Any]) -> None:
    """Make a fresh account with these lists and contacts; change nothing if the wish is wrong."""
    trial = Account(account.credentials, account.switches)
    _set_scene(trial, given)
    with account.lock:
        account.reset()
        _set_scene(account, given)


def _set_scene(account: Account, given: Mapping[str, Any]) -> None:
    if strange := sorted(set(given) - {"contacts", "lists"}):
        raise ValueError(f"A reset has contacts and lists, not {strange[0]!r}.")
    _lists_named(account, _names(given, "lists"))
    contacts = given.get("contacts", [])
    if not isinstance(contacts, list) or not all(isinstance(each, dict) for each in contacts):
        raise ValueError("The contacts are a list of objects.")
    for each in contacts:
        _place(account, each)


def _place(account: Account, given: Mapping[str, Any]) -> None:
    """Put one contact on the scene as it is told, status included."""
    lists = _lists_named(account, _names(given, "lists"))
    status = _status(given, bool(lists))
    draft = Draft(_address(given), _fields(given), lists, _source(given, "source", Source.CUSTOMER))
    contact = account.create(draft, needs_list=False)
    permission = _permission(given)
    awaiting = status is Status.UNCONFIRMED or permission is Permission.PENDING
    contact = replace(contact, awaiting=awaiting, confirmed=given.get("confirmed") is True)
    if permission not in (None, Permission.PENDING, Permission.UNSUBSCRIBED):
        contact = replace(contact, permission=permission)
    if given.get("deleted") is True:
        contact = replace(contact, deleted=account.clock.now(), memberships={})
    if status is Status.DO_NOT_MAIL:
        source = _source(given, "opt_out_source", Source.CONTACT)
        gone = OptOut(source, account.clock.now(), str(given.get("opt_out_reason") or ""))
        contact = replace(contact, opt_out=gone)
    account.put(contact)


def _status(given: Mapping[str, Any], on_lists: bool) -> Status:
    default = Status.ACTIVE if on_lists else Status.REMOVED
    if _permission(given) is Permission.UNSUBSCRIBED:
        default = Status.DO_NOT_MAIL
    word = given.get("status") or default
    if word not in {each.value for each in Status}:
        raise ValueError(f"The status is one of: {', '.join(Status)}.")
    status = Status(word)
    if on_lists != (status in (Status.ACTIVE, Status.UNCONFIRMED)):
        raise ValueError(f"A contact with the status {status.value} is on {'no' if on_lists else 'a'} list.")
    return status


def _permission(given: Mapping[str, Any]) -> Permission | None:
    """Return the permission of v3 that a contact of the scene is to have."""
    word = given.get("permission")
    if word is not None and word not in {each.value for each in Permission}:
        raise ValueError(f"The permission is one of: {', '.join(Permission)}.")
    return None if word is None else Permission(word)


def _address(given: Mapping[str, Any], name: str = "email") -> str:
    address = given.get(name)
    if not isinstance(address, str) or "@" not in address.strip("@") or address != address.strip():
        raise ValueError(f"The {name} is an address.")
    return address


def _names(given: Mapping[str, Any], name: str) -> list[str]:
    names = given.get(name) or []
    if not isinstance(names, list) or not all(isinstance(each, str) and each for each in names):
        raise ValueError(f"The {name} are a list of names.")
    return names


def _lists_named(account: Account, names: list[str]) -> frozenset[int]:
    return frozenset(_list_named(account, name) for name in names)


def _list_named(account: Account, name: str) -> int:
    """Return the number of the list, made on demand."""
    found = account.list_named(name)
    return (found or account.create_list(ListDraft(name))).id


def _source(given: Mapping[str, Any], name: str, default: Source) -> Source:
    word = given.get(name) or default
    if word not in {each.value for each in Source}:
        raise ValueError(f"The {name} is one of: {', '.join(Source)}.")
    return Source(word)


def _fields(given: Mapping[str, Any]) -> dict[str, str]:
    """Read every key that is not a word of our own as a field; ``first_name`` and ``FirstName`` are the same."""
    fields: dict[str, str] = {}
    for key, value in given.items():
        if key in _OWN_WORDS:
            continue
        name = element_name(key)
        if name is None or not isinstance(value, str):
            raise ValueError(f"{key!r} is no text field of a contact.")
        fields[name] = value
    return fields


def _contact(account: Account, given: Mapping[str, Any]) -> Contact:
    found = account.find(_address(given).lower())
    if found is None:
        raise Refused(Refusal.UNKNOWN_CONTACT)
    return found


def _list(account: Account, given: Mapping[str, Any]) -> int:
    name = given.get("list")
    if not isinstance(name, str) or not name:
        raise ValueError("The act needs a list, by its name.")
    found = account.list_named(name)
    if found is None:
        raise Refused(Refusal.UNKNOWN_LIST)
    return found.id


# The contact


def _unsubscribe(account: Account, given: Mapping[str, Any]) -> None:
    reason = str(given.get("opt_out_reason") or "")
    account.opt_out(_contact(account, given).id, Source.CONTACT, reason)


def _leave(account: Account, given: Mapping[str, Any]) -> None:
    contact = _contact(account, given)
    account.set_lists(contact.id, frozenset(contact.memberships) - {_list(account, given)}, Source.CONTACT)


def _join(account: Account, given: Mapping[str, Any]) -> None:
    """Sign up by her own act, which also brings back who had opted out; a new address becomes a contact."""
    lists = frozenset({_list(account, given)})
    contact = account.find(_address(given).lower())
    if contact is None:
        account.create(Draft(_address(given), _fields(given), lists, Source.CONTACT))
    else:
        account.set_lists(contact.id, lists | contact.memberships.keys(), Source.CONTACT)


def _confirm(account: Account, given: Mapping[str, Any]) -> None:
    account.confirm(_contact(account, given).id)


# The owner


def _create(account: Account, given: Mapping[str, Any]) -> None:
    lists = _lists_named(account, _names(given, "lists"))
    draft = Draft(_address(given), _fields(given), lists, Source.CUSTOMER)
    account.create(draft, needs_list=False)


def _edit(account: Account, given: Mapping[str, Any]) -> None:
    """Change fields, or the address by ``to``; the lists stay, and an opted-out contact may be edited too."""
    contact = _contact(account, given)
    address = _address(given, "to").lower() if "to" in given else contact.address
    if address != contact.address and account.find(address) is not None:
        raise Refused(Refusal.ADDRESS_TAKEN)
    fields = {**contact.fields, **_fields(given)}
    changed = replace(contact, address=address, fields=fields, version=contact.version + 1)
    account.put(replace(changed, updated=account.clock.now()))


def _delete(account: Account, given: Mapping[str, Any]) -> None:
    """Delete as the web pages do: softly, it shows up as Removed and its address stays taken (§6)."""
    contact = account.set_lists(_contact(account, given).id, frozenset(), Source.CUSTOMER)
    account.put(replace(contact, deleted=account.clock.now()))


def _add(account: Account, given: Mapping[str, Any]) -> None:
    """Put on a list, which also brings back who was deleted, never who has opted out."""
    contact = _contact(account, given)
    lists = frozenset({_list(account, given)}) | contact.memberships.keys()
    account.set_lists(contact.id, lists, Source.CUSTOMER)


def _remove(account: Account, given: Mapping[str, Any]) -> None:
    contact = _contact(account, given)
    account.set_lists(contact.id, frozenset(contact.memberships) - {_list(account, given)}, Source.CUSTOMER)


def _create_list(account: Account, given: Mapping[str, Any]) -> None:
    name = given.get("list")
    if not isinstance(name, str) or not name:
        raise ValueError("The act needs a list, by its name.")
    account.create_list(ListDraft(name))


def _delete_list(account: Account, given: Mapping[str, Any]) -> None:
    account.delete_list(_list(account, given))


def _rename_list(account: Account, given: Mapping[str, Any]) -> None:
    old, name = account.contact_list(_list(account, given)), given.get("to")
    if not isinstance(name, str) or not name:
        raise ValueError("The new name stands in 'to'.")
    account.update_list(old.id, ListDraft(name, old.sort_order, old.opt_in_default))


_ACTS: dict[str, Callable[[Account, Mapping[str, Any]], None]] = {
    "unsubscribe": _unsubscribe,
    "leave": _leave,
    "join": _join,
    "confirm": _confirm,
    "create": _create,
    "edit": _edit,
    "delete": _delete,
    "add": _add,
    "remove": _remove,
    "create_list": _create_list,
    "rename_list": _rename_list,
    "delete_list": _delete_list,
}
