"""The small marks of the contact list: a badge for a state, and a chip for each managed list.

All text, remote text too, goes through ``format_html`` with literal formats, so that it is escaped.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from ..models import Contact, Refusal

__all__ = ["Chip", "badge", "list_chips", "render_chips"]


@dataclass(frozen=True, slots=True)
class Chip:
    """One list as a mark: ``tone`` is a CSS class, ``meaning`` is what the sign says in words."""

    tone: str
    sign: str
    name: str
    meaning: str


def badge(tone: str, sign: str, label: str) -> SafeString:
    """Return a badge. The sign is decoration; the label says it all."""
    return format_html(
        '<span class="ctct-badge ctct-{}"><span aria-hidden="true">{}</span> {}</span>', tone, sign, label
    )


def list_chips(contact: Contact) -> list[Chip]:
    """Compare the managed lists that the site wants with those that Constant Contact has.

    ``contact`` comes with its memberships, remote memberships, opt-outs and its account's lists prefetched.
    """
    managed = {one.key: one for one in contact.account.lists.all() if one.key}
    wanted = {one.key for one in contact.memberships.all()}
    present = {one.list_id: one for one in contact.remote_memberships.all()}
    left = {one.list_id for one in contact.list_opt_outs.all() if not one.put_back_why}
    gone = {key: one for key, one in managed.items() if key in wanted and one.missing_since is not None}
    chips = [_unbound(key) for key in sorted(wanted - managed.keys())] + [_gone(str(one)) for one in gone.values()]
    for key, one in managed.items():
        if key not in gone and (key in wanted or one.pk in present):
            kept = one.pk in present and (present[one.pk].foreign or contact.desired_gen == 0)
            stopped = one.pk in left or contact.refusal == Refusal.OPTED_OUT
            chips.append(_chip(str(one), key in wanted, one.pk in present, kept, stopped))
    return sorted(chips, key=lambda chip: chip.name.lower())


def _unbound(key: str) -> Chip:
    return Chip("bad", "?", key, _("wanted, but no list is bound to this key"))


def _gone(name: str) -> Chip:
    return Chip("bad", "?", name, _("wanted, but the list is gone at Constant Contact"))


def _chip(name: str, wanted: bool, present: bool, kept: bool, stopped: bool) -> Chip:
    if wanted and present:
        return Chip("good", "✓", name, _("wanted and there"))
    if wanted and stopped:
        return Chip("stop", "⊘", name, _("wanted, but the person left it or opted out"))
    if wanted:
        return Chip("wait", "+", name, _("wanted, not there yet"))
    if kept:
        return Chip("quiet", "·", name, _("there by someone's act at Constant Contact"))
    return Chip("wait", "−", name, _("there, not wanted any more"))


def render_chips(chips: list[Chip]) -> SafeString:
    """Return chips as a list; each says in words, for a screen reader, what its sign means."""
    if not chips:
        return format_html('<span class="ctct-none">{}</span>', _("none"))
    inner = format_html_join(
        "",
        '<li class="ctct-chip ctct-{}" title="{}"><span aria-hidden="true">{}</span> {}'
        '<span class="visually-hidden"> ({})</span></li>',
        ((chip.tone, chip.meaning, chip.sign, chip.name, chip.meaning) for chip in chips),
    )
    return format_html('<ul class="ctct-chips">{}</ul>', inner)
