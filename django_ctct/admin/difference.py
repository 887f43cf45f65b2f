"""The wish and the observation side by side, list by list, with what the planner would do about each.

The planner is asked with what was last seen instead of a fresh read, so no network is needed and no policy is
written twice. It is a forecast: the worker reads afresh before it acts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from .. import ledger, planning
from ..ledger import Local
from ..models import Contact, ContactList, ListOptOut, RemoteMembership
from ..planning import Nothing, OptOut, Plan
from ..types import ContactStatus, OptInSource, RemoteContact, Subscription
from .words import moment

__all__ = ["Difference", "ListRow", "forecast", "left_words"]


@dataclass(frozen=True, slots=True)
class ListRow:
    """One list: whether the site wants it, whether Constant Contact has it, and what will happen."""

    name: str
    key: str
    managed: bool
    wanted: bool
    present: bool
    since: datetime | None
    by_herself: bool
    fate: str
    tone: str


def forecast(local: Local) -> Plan:
    """Return what the planner would do if Constant Contact were as last seen."""
    if local.contact.desired_gen == 0:
        return Nothing()
    existing = _as_last_seen(local.contact)
    return planning.plan(local.desired, local.base, existing, local.opt_outs, local.consents, local.managed)


def _as_last_seen(contact: Contact) -> RemoteContact | None:
    if not contact.status:
        return None
    rows = contact.remote_memberships.select_related("list")
    return RemoteContact(
        remote_id=contact.remote_id or "",
        email=contact.email,
        status=ContactStatus(contact.status),
        lists={row.list.remote_id: Subscription(None, row.since) for row in rows},
        fields=contact.profile,  # fields are not mirrored: nothing may follow from them here
        opted_out_at=contact.opted_out_at,
    )


@dataclass
class Difference:
    """All lists that matter for one contact."""

    contact: Contact
    local: Local
    plan: Plan = field(default_factory=Nothing)

    @classmethod
    def of(cls, contact: Contact) -> Difference:
        local = ledger.load(contact.pk)
        return cls(contact, local, forecast(local))

    @cached_property
    def present(self) -> dict[str, RemoteMembership]:
        return {one.list.remote_id: one for one in self.contact.remote_memberships.all()}

    @cached_property
    def left(self) -> dict[str, ListOptOut]:
        return {one.list.remote_id: one for one in self.contact.list_opt_outs.all()}

    @cached_property
    def rows(self) -> list[ListRow]:
        lists = {one.remote_id: one for one in self.contact.account.lists.all()}
        matter = [one for remote_id, one in lists.items() if self._matters(remote_id, one)]
        rows = [self._row(one) for one in sorted(matter, key=lambda one: (one.key is None, str(one).lower()))]
        return [*(self._unbound_row(key) for key in sorted(self.local.unbound)), *rows]

    def _matters(self, remote_id: str, one: ContactList) -> bool:
        if remote_id in self.present or remote_id in self.local.desired.lists:
            return True
        return one.key is not None and remote_id in self.left

    def _row(self, one: ContactList) -> ListRow:
        there = self.present.get(one.remote_id)
        fate, tone = self._fate(one)
        return ListRow(
            name=str(one),
            key=one.key or "",
            managed=one.key is not None,
            wanted=one.remote_id in self.local.desired.lists,
            present=there is not None,
            since=there.since if there else None,
            by_herself=there is not None and there.source == OptInSource.CONTACT.value,
            fate=fate,
            tone=tone,
        )

    def _unbound_row(self, key: str) -> ListRow:
        fate = _("waits until a list is bound to this key")
        return ListRow(key, key, True, True, False, None, False, fate, "bad")

    def _fate(self, one: ContactList) -> tuple[str, str]:
        """Say what will happen on one list, and in which tone."""
        remote_id = one.remote_id
        wanted, there = remote_id in self.local.desired.lists, remote_id in self.present
        if isinstance(self.plan, OptOut):
            return (_("ends with the opt-out"), "stop") if there else (_("stays off"), "stop")
        if one.key is None:
            return _("not managed: never touched"), "quiet"
        if remote_id in getattr(self.plan, "adds", ()):
            return self._later(_("will be added"), _("would be added")), "wait"
        if remote_id in getattr(self.plan, "removes", ()):
            return self._later(_("will be taken off"), _("would be taken off")), "wait"
        if wanted and not there:
            return self._withheld(remote_id), "stop"
        return self._as_it_is(remote_id, wanted, there)

    def _later(self, soon: str, held: str) -> str:
        stuck = self.contact.hold or self.local.unbound
        return _("%(would)s, but the contact is held") % {"would": held} if stuck else soon

    def _as_it_is(self, remote_id: str, wanted: bool, there: bool) -> tuple[str, str]:
        if wanted:
            return _("stays"), "good"
        if not there:
            return left_words(self.left[remote_id]) if remote_id in self.left else "", "quiet"
        if self.contact.desired_gen == 0:
            return _("not the site's: never touched"), "quiet"
        return _("kept: added at Constant Contact"), "quiet"

    def _withheld(self, remote_id: str) -> str:
        if remote_id in self.left:
            return _("stays off: %(left)s") % {"left": left_words(self.left[remote_id])}
        if self.local.opt_outs.everything is not None:
            return _("stays off: opted out")
        return _("stays off")


def left_words(one: ListOptOut) -> str:
    """Say who left a list and when."""
    texts = {
        "site": _("she left it on this site, %(at)s"),
        "remote": _("she left it at Constant Contact, %(at)s"),
        "owner": _("staff took her off, %(at)s"),
    }
    return texts[one.source] % {"at": moment(one.at)}
