"""*Show plan*: ask Constant Contact how things are and say what would be written. Nothing is written anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from django.utils.translation import gettext as _

from .. import services
from ..exceptions import AuthenticationFailed, ConfigurationError, CopyDetected, CtctError, TransientError
from ..models import Contact
from ..planning import Create, Nothing, OptOut, Plan, Reason, Refuse, Update
from ..services import Link, Preview
from ..types import RemoteContact
from ..verdict.words import error_sentence, joined

__all__ = ["MOST_PLANS", "FieldChange", "ShownPlan", "show_plans"]

#: Each plan takes one or two calls and the limits allow four a second: more would keep the reader waiting.
MOST_PLANS = 20


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that would be set."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ShownPlan:
    """What would happen to one contact, in words; ``error`` instead when it could not be found out."""

    contact: Contact
    text: str = ""
    status: str = ""
    present: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()
    removes: tuple[str, ...] = ()
    withheld: str = ""
    fields: tuple[FieldChange, ...] = ()
    error: str = ""


def show_plans(contacts: Iterable[Contact]) -> list[ShownPlan]:
    """Return the plan of each contact. No error of ours is raised: it is shown."""
    by_alias: dict[str, list[Contact]] = {}
    for one in contacts:
        by_alias.setdefault(one.account.alias, []).append(one)
    return [shown for alias, group in by_alias.items() for shown in _of_account(alias, group)]


def _of_account(alias: str, contacts: list[Contact]) -> Iterator[ShownPlan]:
    try:
        with services.connect(alias) as link:
            yield from _of_link(link, contacts)
    except (ConfigurationError, CopyDetected) as error:
        yield from (ShownPlan(one, error=error_sentence(error)) for one in contacts)


def _of_link(link: Link, contacts: list[Contact]) -> Iterator[ShownPlan]:
    """Stop at the first error that all others would run into as well."""
    wall: CtctError | None = None
    for one in contacts:
        if wall is not None:
            yield ShownPlan(one, error=_("Not asked, because of the error before."))
            continue
        try:
            yield _shown(one, services.preview(link, one.pk))
        except CtctError as error:
            wall = error if isinstance(error, (TransientError, AuthenticationFailed)) else None
            yield ShownPlan(one, error=error_sentence(error))


def _shown(contact: Contact, preview: Preview) -> ShownPlan:
    names = {one.remote_id: str(one) for one in contact.account.lists.all()}
    plan, existing = preview.plan, preview.existing
    present = existing.lists if existing else ()
    return ShownPlan(
        contact=contact,
        text=_text(plan, names, foreign=contact.desired_gen == 0),
        status=existing.status.label if existing else _("not there"),
        present=_named(present, names),
        adds=_named(getattr(plan, "adds", ()), names),
        removes=_named(present if isinstance(plan, OptOut) else getattr(plan, "removes", ()), names),
        withheld="" if isinstance(plan, Refuse) else joined(list(_named(plan.withheld, names))),
        fields=(*_address(plan, existing), *_fields(plan, existing.fields if existing else {})),
    )


def _text(plan: Plan, names: Mapping[str, str], foreign: bool) -> str:
    if isinstance(plan, Refuse):
        texts = {
            Reason.OPTED_OUT: _("Nothing would be written: she has opted out, so she is not put on %(lists)s."),
            Reason.LEFT_LIST: _("Nothing would be written: she has left %(lists)s."),
        }
        return texts[plan.reason] % {"lists": joined(list(_named(plan.withheld, names)))}
    if isinstance(plan, Nothing):
        if foreign:
            return _("Nothing would be written: no member of the site has this address.")
        return _("Nothing would be written: all is as it should be.")
    if isinstance(plan, OptOut):
        return _("She would be put on Do Not Mail, for good.")
    return _("She would be added as a new contact.") if isinstance(plan, Create) else _("She would be changed.")


def _named(lists: Iterable[str], names: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(names.get(one, one) for one in lists))


def _address(plan: Plan, existing: RemoteContact | None) -> tuple[FieldChange, ...]:
    if existing is None or not isinstance(plan, Update) or not plan.address:
        return ()
    return (FieldChange(_("address"), existing.email, plan.address),)


def _fields(plan: Plan, before: Mapping[str, str]) -> tuple[FieldChange, ...]:
    if not isinstance(plan, (Create, Update)):
        return ()
    changed = sorted(plan.fields.items())
    return tuple(FieldChange(name.replace("_", " "), before.get(name, ""), value) for name, value in changed)
