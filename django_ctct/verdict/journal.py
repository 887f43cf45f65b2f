"""The writes of a contact as people read them: what was changed, on whose word, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..models import Contact, WriteAttempt
from ..types import Outcome, Verb

__all__ = [
    "OUTCOMES",
    "OUTCOME_TONES",
    "VERBS",
    "Write",
    "changes",
    "outcome_words",
    "verb_words",
    "whose_words",
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


def writes(contact: Contact, most: int = MOST) -> list[Write]:
    """Return the latest writes, newest first."""
    names = {one.remote_id: str(one) for one in contact.account.lists.all()}
    return [_write(one, names) for one in contact.writes.select_related("consent").order_by("-at")[:most]]


def _write(one: WriteAttempt, names: Mapping[str, str]) -> Write:
    return Write(
        at=one.at,
        verb=verb_words(one),
        changes=changes(one, names),
        whose=whose_words(one),
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


def whose_words(one: WriteAttempt) -> str:
    """Say on whose word it was written."""
    if one.consent is not None:
        return _("her own act: %(how)s") % {"how": one.consent.method}
    return _("an opt-out") if one.verb == Verb.OPT_OUT.value else _("the site's rule")
