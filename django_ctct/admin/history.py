"""The writes of a contact, and the acts of staff on it, as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..models import Contact, WriteAttempt
from ..types import Outcome, Verb

__all__ = [
    "OUTCOMES",
    "OUTCOME_TONES",
    "VERBS",
    "StaffAct",
    "Write",
    "changes",
    "outcome_words",
    "staff_acts",
    "verb_words",
    "writes",
]

#: A page shows this many of the latest.
MOST = 50
VERBS = {
    Verb.CREATE: gettext_lazy("Created"),
    Verb.UPDATE: gettext_lazy("Changed"),
    Verb.OPT_OUT: gettext_lazy("Opted out for good"),
}
OUTCOMES = {
    Outcome.OPEN: gettext_lazy("no answer recorded"),
    Outcome.OK: gettext_lazy("done"),
    Outcome.NOT_SENT: gettext_lazy("not sent"),
    Outcome.REFUSED: gettext_lazy("refused"),
    Outcome.AMBIGUOUS: gettext_lazy("unclear: it may have been applied"),
    Outcome.VERIFIED: gettext_lazy("unclear, and read again since"),
}
OUTCOME_TONES = {
    "ok": "good",
    "open": "wait",
    "ambiguous": "wait",
    "not_sent": "quiet",
    "verified": "quiet",
    "refused": "bad",
}


@dataclass(frozen=True, slots=True)
class Write:
    """One write: what it changed, on whose word, and how it ended."""

    at: datetime
    verb: str
    changes: str
    whose: str
    tone: str
    outcome: str
    error: str


@dataclass(frozen=True, slots=True)
class StaffAct:
    """One act of staff, from the admin's log."""

    at: datetime
    who: str
    what: str


def writes(contact: Contact) -> list[Write]:
    """Return the latest writes, newest first."""
    names = {one.remote_id: str(one) for one in contact.account.lists.all()}
    return [_write(one, names) for one in contact.writes.select_related("consent").order_by("-at")[:MOST]]


def _write(one: WriteAttempt, names: Mapping[str, str]) -> Write:
    return Write(
        at=one.at,
        verb=verb_words(one),
        changes=changes(one, names),
        whose=_whose(one),
        tone=OUTCOME_TONES.get(one.outcome, "quiet"),
        outcome=outcome_words(one),
        error=one.error_code.replace("_", " "),
    )


def verb_words(one: WriteAttempt) -> str:
    """Say what kind of write it was."""
    return str(VERBS[Verb(one.verb)])


def outcome_words(one: WriteAttempt) -> str:
    """Say how it ended, as far as we know."""
    return str(OUTCOMES[Outcome(one.outcome)])


def changes(one: WriteAttempt, names: Mapping[str, str]) -> str:
    """Say what a write changes: lists by their names, then fields by theirs."""
    before, after = set(one.lists_before), set(one.lists_after)
    parts = [f"+ {names.get(each, each)}" for each in sorted(after - before)]
    parts += [f"− {names.get(each, each)}" for each in sorted(before - after)]
    if one.fields:
        parts.append(", ".join(field.replace("_", " ") for field in one.fields))
    return "; ".join(parts) or "–"


def _whose(one: WriteAttempt) -> str:
    if one.consent is not None:
        return _("her own act: %(how)s") % {"how": one.consent.method}
    return _("an opt-out") if one.verb == Verb.OPT_OUT.value else _("the site's rule")


def staff_acts(contact: Contact) -> list[StaffAct]:
    """Return what staff did with a contact, newest first."""
    kind = ContentType.objects.get_for_model(Contact)
    found = LogEntry.objects.filter(content_type=kind, object_id=str(contact.pk)).select_related("user")
    newest = found.order_by("-action_time")[:MOST]
    return [StaffAct(one.action_time, one.user.get_username(), one.get_change_message()) for one in newest]
