"""The two sides on a contact's page, and the sentence about them; without a forecast where there can be none.

Whether an address was erased, and must not return, is known by a hash only, and its keys are in the settings. While
these cannot be read, the page shows the rows and promises nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.utils.translation import gettext as _

from .. import ledger
from ..models import Contact
from ..verdict.difference import Difference, ListRow
from ..verdict.standing import Verdict, verdict
from ..verdict.words import BADGES, state_of
from .trouble import wrong_settings

__all__ = ["Sides", "sides_of"]


@dataclass(frozen=True, slots=True)
class Sides:
    """How it stands with a contact, in a sentence and list by list."""

    verdict: Verdict
    rows: list[ListRow]


def sides_of(contact: Contact) -> Sides:
    """Compare the wish with what was last told. ``contact`` was read ``with_state()``."""
    if wrong_settings():
        return Sides(_only_known(contact), _without_forecast(contact))
    difference = Difference.of(contact)
    return Sides(verdict(difference), difference.rows)


def _only_known(contact: Contact) -> Verdict:
    state = state_of(contact)
    tone, sign = BADGES[state]
    text = _("What will happen cannot be told while the settings are wrong. Below is what was last known.")
    advice = _("Whether this address was erased once, and what was agreed to before, cannot be looked up meanwhile.")
    return Verdict(tone, sign, str(state.label), text, advice, contact.error_text)


def _without_forecast(contact: Contact) -> list[ListRow]:
    local = ledger.load(contact.pk, lambda _address: ())
    rows = Difference(contact, local).rows
    return [replace(row, fate=_("not known now"), tone="quiet", drift="") for row in rows]
