"""What a member may choose: the lists she is on as far as the site knows, and those that she may come back to.

It asks the planner (``services.forecast``), so that the page promises what will be done, and writes nothing. A list
is shown when she is on it, or when the site's rules put her on it but for her own opt-out; the rest are not hers to
join here, for a press on this page makes no member a Sustainer.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.template.loader import render_to_string

from .. import services, vault
from ..ledger import Local
from ..links import EVERYTHING, SignedLink
from ..models import Contact, ContactList, ListOptOut, Suppression
from ..planning import Create, OptOut, OptOuts, Update
from ..services import Preview
from ..types import ContactStatus, OptOutSource

__all__ = ["Choice", "Standing", "find", "is_suppressed", "label", "lock", "stand"]


@dataclass(frozen=True, slots=True)
class Choice:
    """One list on the page. One that she is neither on nor may join needs a fresh link (see ``stand``)."""

    key: str
    label: str
    is_on: bool
    may_join: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the owner of a link stands. ``opted_out``: of everything, and she is on nothing.

    ``is_current``: nothing was stopped after the link was made. ``asked_too_early``: she asked to be back before the
    site had heard that she had left at Constant Contact, so it does not count, and she may ask again. ``heard_to`` is
    the last opt-out that the site knows of: a page that was shown before it does not bring her back.
    """

    contact: Contact | None = None
    choices: tuple[Choice, ...] = ()
    opted_out: bool = False
    is_current: bool = True
    asked_too_early: bool = False
    heard_to: str = ""

    @property
    def open(self) -> list[Choice]:
        return [one for one in self.choices if one.is_on or one.may_join]

    @property
    def closed(self) -> list[Choice]:
        return [one for one in self.choices if not (one.is_on or one.may_join)]


def stand(link: SignedLink) -> Standing:
    """Say where the owner of a link stands, and what this link lets her do.

    A link that is older than an opt-out cannot undo it: letters are forwarded, and whoever has an old one must not
    bring back what the owner has stopped since.
    """
    contact = find(link)
    if contact is None:
        erased = is_suppressed(link)
        return Standing(opted_out=erased, is_current=not erased)
    seen = services.forecast(contact.pk)
    on, wished = _on(seen), seen.local.desired.lists
    lists = ContactList.objects.filter(account_id=contact.account_id, remote_id__in=on | wished, key__isnull=False)
    unknown = _unknown(link, seen.local)
    return Standing(
        contact=contact,
        choices=tuple(_choice(one, one.remote_id in on, unknown) for one in lists),
        opted_out=seen.local.opt_outs.everything is not None and not on,
        is_current=not unknown,
        asked_too_early=any(_asked_too_early(seen.local, one) for one in wished - on),
        heard_to=_heard_to(seen.local.opt_outs),
    )


def _heard_to(outs: OptOuts) -> str:
    times = [*outs.lists.values(), *outs.lists_seen.values(), *([outs.known] if outs.known else [])]
    return max(times).isoformat() if times else ""


def _unknown(link: SignedLink, here: Local) -> frozenset[str]:
    """Return the lists that were stopped after the link was made, or ``EVERYTHING`` for all.

    Where Constant Contact says Do Not Mail, the owner may have said so over there too, whoever did it here first.
    """
    contact, outs = here.contact, here.opt_outs
    remote = OptOutSource.REMOTE.value
    is_there = contact.opted_out_source == remote or contact.status == ContactStatus.DO_NOT_MAIL.value
    there = set(ListOptOut.objects.filter(contact=contact, source=remote).values_list("list__remote_id", flat=True))
    unknown = {one for one, at in outs.lists.items() if not link.knows_of(at, over_there=one in there)}
    if not link.knows_of(outs.everything, over_there=is_there):
        unknown.add(EVERYTHING)
    return frozenset(unknown)


def find(link: SignedLink) -> Contact | None:
    """Return the contact that a link is about, if the site knows the address."""
    rows = Contact.objects.filter(account__alias=link.account, email=link.address)
    return next((one for one in rows if one.email == link.address), None)


def lock(link: SignedLink) -> None:
    """Lock her row, in a transaction: what is learned of her from here on is later than what she presses."""
    contact = find(link)
    Contact.objects.select_for_update().filter(pk__in=[contact.pk] if contact else []).first()


def is_suppressed(link: SignedLink) -> bool:
    """Say whether the address was erased, and is remembered only so as never to be written to."""
    names = vault.address_hashes(link.address)
    return Suppression.objects.filter(account__alias=link.account, address_hash__in=names).exists()


def label(one: ContactList) -> str:
    """Return what members call a list, as plain text for pages to escape. A site overrides the template."""
    return str.strip(render_to_string("django_ctct/list_label.txt", {"list": one}))


def _on(seen: Preview) -> frozenset[str]:
    """Return the lists she is on: those of the next plan, and those she still has that she did not leave."""
    here = seen.local
    kept = frozenset(one for one in here.base.lists if not _is_out(here, one))
    match seen.plan:
        case Create(lists=lists) | Update(lists=lists):
            return lists | kept
        case OptOut():
            return frozenset()
    gone = seen.existing is None or seen.existing.status is ContactStatus.DO_NOT_MAIL
    return frozenset() if gone else here.base.lists


def _is_out(here: Local, remote_id: str) -> bool:
    left, consent = here.opt_outs.latest(remote_id), here.consents.get(remote_id)
    return left is not None and (consent is None or consent.at <= left)


def _asked_too_early(here: Local, remote_id: str) -> bool:
    """Say whether she asked for a list after she had left it over there, and before that was known here."""
    outs, consent = here.opt_outs, here.consents.get(remote_id)
    happened, counts_from = OptOuts(outs.everything, outs.lists).latest(remote_id), outs.latest(remote_id)
    if consent is None or happened is None or counts_from is None:
        return False
    return happened < consent.at <= counts_from


def _choice(one: ContactList, is_on: bool, unknown: frozenset[str]) -> Choice:
    may_join = not is_on and not unknown & {EVERYTHING, one.remote_id}
    return Choice(key=one.key or "", label=label(one), is_on=is_on, may_join=may_join)
