"""The wish and the observation side by side, list by list, with what the planner would do about each.

It is a forecast (``services.forecast``): the planner is asked with what was last told, so no network is needed and
no policy is written twice. The worker reads afresh before it acts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from .. import services
from ..ledger import Local
from ..models import Contact, ContactList, ListOptOut, RemoteMembership
from ..planning import Nothing, OptOut, Plan
from ..types import OptInSource
from .words import moment

__all__ = ["Difference", "ListRow", "left_words"]


@dataclass(frozen=True, slots=True)
class ListRow:
    """One list: whether the site wants it, whether Constant Contact has it, and what will happen.

    ``how`` says by whose act she is on it; ``drift`` how the two sides differ, empty where they do not.
    """

    name: str
    key: str
    managed: bool
    wanted: bool
    present: bool
    since: datetime | None
    how: str
    fate: str
    tone: str
    drift: str = ""


@dataclass
class Difference:
    """All lists that matter for one contact."""

    contact: Contact
    local: Local
    plan: Plan = field(default_factory=Nothing)

    @classmethod
    def of(cls, contact: Contact) -> Difference:
        seen = services.forecast(contact.pk)
        return cls(contact, seen.local, seen.plan)

    @cached_property
    def present(self) -> dict[str, RemoteMembership]:
        return {one.list.remote_id: one for one in self.contact.remote_memberships.all()}

    @cached_property
    def left(self) -> dict[str, ListOptOut]:
        """Return the opt-outs of lists that count: not those that staff have put back."""
        return {one.list.remote_id: one for one in self.contact.list_opt_outs.all() if not one.put_back_why}

    @cached_property
    def rows(self) -> list[ListRow]:
        lists = {one.remote_id: one for one in self.contact.account.lists.all()}
        matter = [one for remote_id, one in lists.items() if self._matters(remote_id, one)]
        rows = [self._row(one) for one in sorted(matter, key=lambda one: (one.key is None, str(one).lower()))]
        return [*(self._unbound_row(key) for key in sorted(self.local.unbound)), *rows]

    def _matters(self, remote_id: str, one: ContactList) -> bool:
        if remote_id in self.present or remote_id in self.local.desired.lists or one.key in self.local.missing:
            return True
        return one.key is not None and remote_id in self.left

    def _row(self, one: ContactList) -> ListRow:
        if one.key in self.local.missing:
            return self._gone_row(one)
        there = self.present.get(one.remote_id)
        wanted = one.remote_id in self.local.desired.lists
        fate, tone = self._fate(one)
        return ListRow(
            name=str(one),
            key=one.key or "",
            managed=one.key is not None,
            wanted=wanted,
            present=there is not None,
            since=there.since if there else None,
            how=_how(there) if there else "",
            fate=fate,
            tone=tone,
            drift=self._drift(one, wanted, there),
        )

    def _drift(self, one: ContactList, wanted: bool, there: RemoteMembership | None) -> str:
        """Say how the two sides differ on a managed list, and by whose act, as far as that is known."""
        if one.key is None or self.contact.desired_gen == 0 or wanted == (there is not None):
            return ""
        names = {"list": str(one)}
        if there is not None:
            if there.foreign:
                return _("She is on %(list)s, where no rule puts her: somebody added her at Constant Contact.") % names
            return _("She is still on %(list)s, which no rule wants any more.") % names
        if one.remote_id in self.left or one.remote_id in self.plan.withheld:
            return ""  # that is no drift: whose word keeps her off is told by itself
        return _("The site wants her on %(list)s, and she is not on it.") % names

    def _unbound_row(self, key: str) -> ListRow:
        fate = _("waits until a list is bound to this key")
        drift = _("The site wants her on “%(key)s”, and no list is bound to that key.") % {"key": key}
        return ListRow(key, key, True, True, False, None, "", fate, "bad", drift)

    def _gone_row(self, one: ContactList) -> ListRow:
        fate = _("waits until its key is bound to another list")
        drift = _("The site wants her on %(list)s, and that list is gone at Constant Contact.") % {"list": str(one)}
        return ListRow(str(one), one.key or "", True, True, False, None, "", fate, "bad", drift)

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


def _how(there: RemoteMembership) -> str:
    """Say by whose act she is on a list. Where the wire does not say, nobody is named."""
    if there.foreign:
        return _("added there by somebody")
    if there.source == OptInSource.CONTACT.value:
        return _("by her own act")
    return _("by the account") if there.source else ""


def left_words(one: ListOptOut) -> str:
    """Say who left a list and when, since when that is known here, and whether staff have put her back since."""
    texts = {
        "site": _("she left it on this site, %(at)s"),
        "remote": _("she left it at Constant Contact, or was taken off there, %(at)s"),
        "owner": _("staff took her off, %(at)s"),
    }
    text = texts[one.source] % {"at": moment(one.at)}
    if one.seen_at is not None and one.seen_at > one.at:
        text = _("%(left)s (known here since %(seen)s)") % {"left": text, "seen": moment(one.seen_at)}
    return _("%(left)s; put back since: it does not count any more") % {"left": text} if one.put_back_why else text
