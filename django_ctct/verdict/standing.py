"""The one sentence about a contact: how things stand, why, and what a person can do about it."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..models import Contact, Hold, Refusal, SyncState
from ..types import ContactStatus, OptOutSource
from .difference import Difference, ListRow, left_words
from .words import BADGES, joined, moment, reason, sentence, state_of

__all__ = ["Verdict", "verdict"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """``text`` says how it stands, ``advice`` what a person can do; ``technical`` is the error as it was recorded."""

    tone: str
    sign: str
    label: str
    text: str
    advice: str = ""
    technical: str = ""


def verdict(difference: Difference) -> Verdict:
    """Say how it stands with one contact. Its row was read ``with_state()``."""
    contact = difference.contact
    state = state_of(contact)
    text, advice = _WORDS[state](difference)
    tone, sign = BADGES[state]
    show_error = state in (SyncState.FAILED, SyncState.PENDING)
    return Verdict(tone, sign, str(state.label), sentence(text), advice, contact.error_text if show_error else "")


def _in_sync(difference: Difference) -> tuple[str, str]:
    contact, wanted = difference.contact, [row.name for row in difference.rows if row.wanted]
    since = moment(contact.synced_at)
    if astray := [row.name for row in difference.rows if row.wanted and not row.present]:
        return _astray(difference, astray)
    if wanted:
        text = ngettext(
            "She is wanted on %(lists)s and is on it: confirmed by Constant Contact, %(at)s.",
            "She is wanted on %(lists)s and is on them: confirmed by Constant Contact, %(at)s.",
            len(wanted),
        )
        return text % {"lists": joined(wanted), "at": since}, ""
    if contact.status == ContactStatus.DO_NOT_MAIL.value:
        text = _("She has opted out (%(at)s), and the site wants her on no list: all is as it should be.")
        return text % {"at": moment(contact.opted_out_at)}, ""
    on = [row.name for row in difference.rows if row.managed and row.present]
    if on:
        text = _("The site wants her on no list; she is on %(lists)s by someone's act at Constant Contact (%(at)s).")
        return text % {"lists": joined(on), "at": since}, ""
    text = _("The site wants her on no list, and she is on none of its lists: confirmed by Constant Contact, %(at)s.")
    return text % {"at": since}, ""


def _astray(difference: Difference, names: list[str]) -> tuple[str, str]:
    """Claim nothing that the rows do not bear out: a key may have been taken off its list since."""
    text = _("Confirmed by Constant Contact, %(at)s; but by now she is wanted on %(lists)s and not known to be there.")
    values = {"at": moment(difference.contact.synced_at), "lists": joined(names)}
    if difference.local.unbound:
        return text % values, _("Under Contact lists, bind the right list to this key, then choose Sync now.")
    return text % values, _("Sync now looks again.")


def _pending(difference: Difference) -> tuple[str, str]:
    contact = difference.contact
    if contact.lease_until is not None and contact.lease_until > timezone.now():
        return _("Under way: the change of %(at)s is being sent at this moment.") % {
            "at": moment(contact.wished_at)
        }, ""
    if contact.opt_out_wanted:
        text = _("Waiting: the opt-out of %(at)s is not yet at Constant Contact. Nothing is added for her meanwhile.")
        return text % {"at": moment(contact.opted_out_at)} + " " + _next_try(contact), ""
    if contact.desired_gen == contact.applied_gen:
        text = _("Sent, but one answer was unclear, so her lists are read once more at %(at)s.")
        return text % {"at": moment(contact.verify_at)}, ""
    text = _("Waiting: the change of %(at)s is not yet at Constant Contact.") % {"at": moment(contact.wished_at)}
    if contact.attempts and contact.error_text:
        text += " " + _("The last try failed: %(reason)s.") % {"reason": reason(contact)}
    return text + " " + _next_try(contact), ""


def _next_try(contact: Contact) -> str:
    account, now = contact.account, timezone.now()
    if account.paused_until is not None and account.paused_until > now:
        why = {"at": moment(account.paused_until), "why": account.pause_reason}
        return _("All calls are paused until %(at)s: %(why)s.") % why
    if account.approved_at is None and not contact.opt_out_wanted:
        return _("Nothing is sent before somebody has read the plan of this account and approved it.")
    if contact.error_code == "behind":
        text = _("It is added as soon as the news from Constant Contact has been read. Next try: %(at)s.")
        return text % {"at": moment(contact.due_at)}
    if contact.due_at is None or contact.due_at <= now:
        return _("It is its turn now, as soon as a worker is free.")
    return _("Next try: %(at)s.") % {"at": moment(contact.due_at)}


def _failed(difference: Difference) -> tuple[str, str]:
    contact, why = difference.contact, reason(difference.contact)
    if not contact.hold:
        text = ngettext(
            "Not done yet: %(tries)s try has failed. The last one: %(reason)s.",
            "Not done yet: %(tries)s tries have failed. The last one: %(reason)s.",
            contact.attempts,
        )
        return text % {"tries": contact.attempts, "reason": why} + " " + _next_try(contact), ""
    return _("Stuck: %(reason)s. Nothing is tried until this is put right.") % {"reason": why}, _advice(contact)


def _advice(contact: Contact) -> str:
    advice = {
        Hold.INVALID: _("Correct the address on the member's own page; the change is then sent by itself."),
        Hold.UNBOUND: _("Under Contact lists, bind the right list to this key; she then goes on by herself."),
        Hold.REJECTED: _("Look at her fields and lists below. Sync now tries once more."),
        Hold.REVIEW: _("Compare her with Constant Contact, for example with Show plan. Sync now tries once more."),
    }
    return advice.get(Hold(contact.hold), "")


_UNKNOWN_OPT_OUT = gettext_lazy("Refused: she has opted out, %(at)s.")
_SUPPRESSED = gettext_lazy("Refused: all about this address was erased, and no rule may bring it back.")


def _refused(difference: Difference) -> tuple[str, str]:
    contact = difference.contact
    if contact.refusal == Refusal.LEFT_LIST:
        return _left(difference)
    if contact.refusal == Refusal.MISSING:
        return _gone(difference)
    texts = {
        OptOutSource.SITE.value: _("Refused: she opted out on this site, %(at)s."),
        OptOutSource.REMOTE.value: _("Refused: she opted out at Constant Contact, %(at)s."),
        OptOutSource.OWNER.value: _("Refused: staff opted her out, %(at)s."),
    }
    text = texts.get(contact.opted_out_source, _UNKNOWN_OPT_OUT if contact.opted_out_at else _SUPPRESSED)
    wanted = [row.name for row in difference.rows if row.wanted and not row.present]
    if wanted:
        text = f"{text} " + _("The site wants her on %(lists)s, and does not put her there.")
    values = {"at": moment(contact.opted_out_at), "lists": joined(wanted)}
    return text % values, _("Only she herself can come back, by asking for it.")


def _gone(difference: Difference) -> tuple[str, str]:
    names = [row.name for row in difference.rows if row.key in difference.local.missing]
    text = ngettext(
        "The site wants her on %(lists)s, and that list is gone at Constant Contact. All else is in sync.",
        "The site wants her on %(lists)s, and these lists are gone at Constant Contact. All else is in sync.",
        len(names),
    )
    advice = ngettext(
        "Under Contact lists, bind another list to its key; she then goes on by herself.",
        "Under Contact lists, bind other lists to their keys; she then goes on by herself.",
        len(names),
    )
    return text % {"lists": joined(names)}, advice


def _left(difference: Difference) -> tuple[str, str]:
    rows = [row for row in difference.rows if row.wanted and not row.present]
    left = [_left_one(difference, row) for row in rows]
    text = _("The site wants her on %(lists)s, but: %(left)s. All else is in sync.")
    return text % {"lists": joined([row.name for row in rows]), "left": joined(left)}, _way_back(difference)


def _way_back(difference: Difference) -> str:
    sources = {one.source for one in difference.left.values()}
    if OptOutSource.OWNER.value in sources:
        return _("“Let the rules count again” puts her back where staff, and not she herself, took her off.")
    if OptOutSource.REMOTE.value in sources:
        return _("She can come back to it by asking for it. Where it was a mistake over there, staff can put her back.")
    return _("Only she herself can come back to it, by asking for it.")


def _left_one(difference: Difference, row: ListRow) -> str:
    found = [one for one in difference.left.values() if str(one.list) == row.name]
    return left_words(found[0]) if found else _("she left it")


def _foreign(difference: Difference) -> tuple[str, str]:
    return _("No member of the site has this address. It is shown here, and nothing is ever written to it."), ""


_WORDS = {
    SyncState.IN_SYNC: _in_sync,
    SyncState.PENDING: _pending,
    SyncState.FAILED: _failed,
    SyncState.REFUSED: _refused,
    SyncState.FOREIGN: _foreign,
}
