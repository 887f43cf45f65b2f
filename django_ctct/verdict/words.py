"""How times, errors and states are said to people who do not know what an HTTP status is."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import capfirst
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..exceptions import CtctError
from ..models import Contact, Hold, Refusal, SyncState

__all__ = [
    "BADGES",
    "STATUS_TONES",
    "ago",
    "error_sentence",
    "joined",
    "moment",
    "plain",
    "reason",
    "sentence",
    "state_of",
    "why",
]

#: How each state looks: a tone (a CSS class) and a sign, so that colour never speaks alone.
BADGES = {
    SyncState.IN_SYNC: ("good", "✓"),
    SyncState.PENDING: ("wait", "…"),
    SyncState.FAILED: ("bad", "!"),
    SyncState.REFUSED: ("stop", "⊘"),
    SyncState.FOREIGN: ("quiet", "–"),
}
STATUS_TONES = {"active": "good", "unconfirmed": "wait", "removed": "quiet", "do_not_mail": "stop"}

# The text of a RemoteError: "GET /contacts/{id} answered 503: the server cannot answer now [request 1a2b]"
_TECHNICAL = re.compile(r"^[A-Z]{3,7} /.*?: (?P<reason>.*?)(?: \[request [\w-]+\])?$", re.DOTALL)


def state_of(contact: Contact) -> SyncState:
    """Return the state of a contact that was read ``with_state()``."""
    return SyncState(contact.state)  # type: ignore[attr-defined]  # the annotation of with_state()


def moment(at: datetime | None) -> str:
    """Say when: the time if it is today, the date and time if not."""
    if at is None:
        return ""
    local = timezone.localtime(at)
    today = local.date() == timezone.localdate()
    return date_format(local, "TIME_FORMAT" if today else "DATETIME_FORMAT")


def sentence(text: str) -> str:
    """Return text in which a time that ends with a point (``8:36 a.m.``) ends its sentence as well."""
    return re.sub(r"\.\.(?=\s|$)", ".", text)


def ago(at: datetime | None) -> str:
    """Say how long ago in one unit: ``3 minutes``."""
    if at is None or timezone.now() - at < timedelta(minutes=1):
        return _("less than a minute")
    return timesince(at, depth=1)


def joined(names: list[str]) -> str:
    """Join names as a sentence does: ``a, b and c``."""
    if len(names) < 2:
        return "".join(names)
    return _("%(most)s and %(last)s") % {"most": ", ".join(names[:-1]), "last": names[-1]}


def plain(text: str) -> str:
    """Return what an error text says to people, without method, path and request number."""
    found = _TECHNICAL.match(text)
    return capfirst((found["reason"] if found else text).rstrip("."))


def reason(contact: Contact) -> str:
    """Say what stands in the way, in words; empty when nothing was recorded."""
    if contact.hold == Hold.UNBOUND:
        return _unbound(contact)
    if contact.error_text:
        return plain(contact.error_text)
    return str(Hold(contact.hold).label) if contact.hold else ""


def _unbound(contact: Contact) -> str:
    bound = {one.key for one in contact.account.lists.all() if one.key}
    missing = sorted({one.key for one in contact.memberships.all()} - bound)
    if not missing:
        return plain(contact.error_text)
    quoted = joined([f"“{key}”" for key in missing])
    return ngettext("The list %(names)s is not bound", "The lists %(names)s are not bound", len(missing)) % {
        "names": quoted
    }


def why(contact: Contact) -> str:
    """Say in a few words what the state of a contact rests on, for a line of the list."""
    state = state_of(contact)
    if state is SyncState.PENDING:
        return _pending(contact)
    if state is SyncState.FAILED:
        return reason(contact)
    if state is SyncState.REFUSED:
        return str(Refusal(contact.refusal).label)
    if state is SyncState.FOREIGN:
        return _("no member has this address")
    return ""


def _pending(contact: Contact) -> str:
    if contact.lease_until is not None and contact.lease_until > timezone.now():
        return _("under way now")
    if contact.desired_gen == contact.applied_gen:
        return _("sent; checked again at %(at)s") % {"at": moment(contact.verify_at)}
    words = _("for %(ago)s") % {"ago": ago(contact.wished_at)}
    if contact.account.approved_at is None and not contact.opt_out_wanted:
        return _("%(words)s: the plan is not approved yet") % {"words": words}
    if contact.error_code == "behind":
        return _("%(words)s: until the news is read") % {"words": words}
    if contact.attempts and contact.error_text:
        return _("%(words)s: %(reason)s") % {"words": words, "reason": reason(contact)}
    return words


def error_sentence(error: CtctError | ImproperlyConfigured) -> str:
    """Return an error as a sentence for staff. What is wrong with the settings is said as they spell it."""
    text = str(error) if isinstance(error, ImproperlyConfigured) else plain(str(error))
    return text if text.endswith((".", "?", "!")) else f"{text}."
