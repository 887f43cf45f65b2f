"""Why the site wants what it wants of an address: the members who have it, and the rule of each list.

It asks the adapters, so it runs the site's own rules; what those raise is told and never passed on. Reads only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import FieldError, ValidationError

from .. import adapters
from ..adapters import MemberAdapter, Rule, read
from ..models import Contact

__all__ = ["MemberRules", "RuleResult", "members_of"]


@dataclass(frozen=True, slots=True)
class RuleResult:
    """One rule for one list, and what it gives now: ``yes``, ``no``, or the kind of error that it ran into."""

    key: str
    rule: str
    result: str


@dataclass(frozen=True, slots=True)
class MemberRules:
    """One member who has the address or puts it on lists. ``kept`` are the keys that are written down for her.

    ``rules`` is empty where the adapter is not one of rules, or the member is not there any more: ``note`` says so.
    """

    member_key: str
    kept: tuple[str, ...] = ()
    rules: tuple[RuleResult, ...] = ()
    wanted: tuple[str, ...] = ()
    note: str = ""


@dataclass(slots=True)
class _Members:
    """The members of one address by their keys, with the keys of the lists that are written down for them."""

    kept: dict[str, set[str]] = field(default_factory=dict)
    found: dict[str, tuple[MemberAdapter, Any]] = field(default_factory=dict)


def members_of(alias: str, email: str, contact: Contact | None) -> list[MemberRules]:
    """Return the members behind a normalised address, known from the rows or found by it, by their keys."""
    members = _Members()
    if contact is not None:
        for row in contact.memberships.all():
            members.kept.setdefault(row.member_key, set()).add(row.key)
        if contact.profile_from:
            members.kept.setdefault(contact.profile_from, set())
    for adapter in adapters.for_account(alias):
        for member in _found(adapter, email, list(members.kept)):
            members.found[adapter.member_key(member)] = (adapter, member)
    keys = sorted(members.kept.keys() | members.found.keys())
    return [_explained(key, members.kept.get(key, set()), members.found.get(key), email) for key in keys]


def _found(adapter: MemberAdapter, email: str, member_keys: list[str]) -> Iterator[Any]:
    """Yield the members of one adapter: those whose keys are known, and those who have the address by now."""
    prefix = f"{adapter.model._meta.label_lower}:"
    ids = [key.removeprefix(prefix) for key in member_keys if key.startswith(prefix)]
    manager = adapter.model._base_manager
    for lookup in [{"pk": one} for one in ids] + [_by_address(type(adapter).email, email)]:
        try:
            yield from manager.filter(**lookup) if lookup else ()
        except (FieldError, ValueError, ValidationError):
            continue  # an address that is no column, or a key of the adapter's own making


def _by_address(rule: Rule, email: str) -> dict[str, str]:
    return {f"{rule.replace('.', '__')}__iexact": email} if isinstance(rule, str) else {}


def _explained(key: str, kept: set[str], found: tuple[MemberAdapter, Any] | None, email: str) -> MemberRules:
    if found is None:
        note = "No such member is there any more, or no adapter of this account knows her: ctct_mirror withdraws it."
        return MemberRules(key, tuple(sorted(kept)), note=note if kept else "")
    adapter, member = found
    try:
        desired = adapter.desired(member)
    except Exception as error:  # noqa: BLE001 - the site's own rules; the kind of error says enough
        note = f"The adapter's rules raise {type(error).__name__} for her: what was wanted before stands."
        return MemberRules(key, tuple(sorted(kept)), tuple(_rules(adapter, member)), note=note)
    wanted = desired.lists if desired.email == email else frozenset()
    return MemberRules(
        key, tuple(sorted(kept)), tuple(_rules(adapter, member)), tuple(sorted(wanted)), _note(desired.email, email)
    )


def _note(hers: str, email: str) -> str:
    return "" if hers == email else "She has another address by now: ctct_mirror takes this one back."


def _rules(adapter: MemberAdapter, member: Any) -> Iterator[RuleResult]:
    """Yield what each rule gives. An adapter that overrides ``desired`` may decide otherwise."""
    for key, rule in sorted(adapter.lists.items()):
        yield RuleResult(key, _name(adapter, rule), _result(member, rule))


def _name(adapter: MemberAdapter, rule: Rule) -> str:
    if isinstance(rule, str):
        return f"{adapter.model.__name__}.{rule.replace('__', '.')}"
    return getattr(rule, "__qualname__", type(rule).__name__)


def _result(member: Any, rule: Rule) -> str:
    try:
        return "yes" if read(member, rule) else "no"
    except Exception as error:  # noqa: BLE001 - as above
        return f"raises {type(error).__name__}"
