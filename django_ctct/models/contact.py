"""The contact: wish, queue and observation in one row, and the sets that hang on it.

``mirror`` writes the wish, ``services`` and ``pull`` the observation, ``outbox`` the queue; the columns are
disjoint. "Pending" is not stored: it *is* ``desired_gen > applied_gen``. Tables only: no I/O, no policy.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.utils.translation import gettext_lazy as _

from ..types import ContactStatus, OptInSource, OptOutSource, Priority
from .account import Account, ContactList
from .clock import DatabaseNow
from .indexes import PartialIndex

__all__ = [
    "Contact",
    "FormerAddress",
    "Hold",
    "ListOptOut",
    "Membership",
    "PastAddress",
    "Refusal",
    "RemoteMembership",
    "SyncState",
]


#: From this many tries in vain on, staff are told "failed" although the tries go on.
FAILED_AFTER = 3


class Hold(models.TextChoices):
    """Why a contact is not tried again until something changes."""

    NONE = "", _("not held")
    INVALID = "invalid", _("not valid")
    UNBOUND = "unbound", _("a list is not bound")
    REJECTED = "rejected", _("refused by the server")
    REVIEW = "review", _("needs a look")


class Refusal(models.TextChoices):
    """Why a wish was not carried out although everything works."""

    NONE = "", _("not refused")
    OPTED_OUT = "opted_out", _("has opted out: Do Not Mail")
    LEFT_LIST = "left_list", _("has left a list")
    MISSING = "missing", _("a list is gone at Constant Contact")


class SyncState(models.TextChoices):
    """What staff see. *In sync* means: confirmed by Constant Contact for the present wish, and nothing else."""

    IN_SYNC = "in_sync", _("In sync")
    PENDING = "pending", _("Pending")
    FAILED = "failed", _("Failed")
    REFUSED = "refused", _("Refused")
    FOREIGN = "foreign", _("Not the site's")


class ContactQuerySet(models.QuerySet["Contact"]):
    def with_state(self) -> ContactQuerySet:
        """Annotate ``state``, one of ``SyncState``."""
        return self.annotate(
            state=Case(
                When(desired_gen=0, then=Value(SyncState.FOREIGN.value)),
                When(~Q(hold="") | Q(attempts__gte=FAILED_AFTER, lease_token=None), then=Value(SyncState.FAILED.value)),
                When(
                    Q(desired_gen__gt=F("applied_gen")) | Q(verify_at__isnull=False),
                    then=Value(SyncState.PENDING.value),
                ),
                When(~Q(refusal=""), then=Value(SyncState.REFUSED.value)),
                default=Value(SyncState.IN_SYNC.value),
                output_field=models.CharField(),
            )
        )

    def for_address(self, account: Account, email: str) -> Contact:
        """Return the row of an address, made on first use. Raise ``ValueError`` where two people would become one.

        An address that a contact is about to give up at Constant Contact is still hers (``renamed_from``).
        """
        moved = self.renamed_from(account.pk, email)
        if moved is not None:
            return moved
        row, _made = self.get_or_create(account=account, email=email)
        if row.email != email:
            raise ValueError("The database takes two addresses for one: give Contact.email a binary collation.")
        return row

    def renamed_from(self, account_id: int, email: str) -> Contact | None:
        """Return the row that has another address by now and that Constant Contact still knows by this one."""
        known = self.filter(account_id=account_id, known_as=email).exclude(email=email)
        moved = known.filter(former_addresses__email=email).order_by("pk").first()
        return None if moved and self.filter(account_id=account_id, email=email).exists() else moved

    def once_known_as(self, account_id: int, email: str) -> ContactQuerySet:
        """Return the rows that had an address until not long ago (``PastAddress.KEPT``)."""
        past = PastAddress.objects.filter(email=email, at__gte=DatabaseNow() - PastAddress.KEPT)
        return self.filter(account_id=account_id, pk__in=past.values("contact_id"))

    def with_moment(self) -> ContactQuerySet:
        """Annotate the database's time of reading; ``moment_of`` gives it."""
        return self.annotate(moment=DatabaseNow())


class Contact(models.Model):
    """One address in one account. One that no member ever ``claimed`` is a stranger."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="contacts", verbose_name=_("account"))
    email = models.CharField(_("address"), max_length=254)

    # The wish. ``claimed``: a member of the site has this address, or had it.
    claimed = models.BooleanField(_("claimed"), default=False)
    first_name = models.CharField(_("first name"), max_length=150, blank=True)
    last_name = models.CharField(_("last name"), max_length=150, blank=True)
    profile = models.JSONField(_("profile"), default=dict, blank=True)
    profile_from = models.CharField(_("profile taken from"), max_length=200, blank=True, db_index=True)
    desired_gen = models.PositiveBigIntegerField(_("wish number"), default=0)
    wished_at = models.DateTimeField(_("wished at"), null=True, blank=True)
    opt_out_wanted = models.BooleanField(_("opt-out under way"), default=False)

    # The queue
    due_at = models.DateTimeField(_("next try"), null=True, blank=True)
    priority = models.PositiveSmallIntegerField(_("priority"), default=Priority.RESYNC.value)
    lease_token = models.UUIDField(null=True, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    attempts = models.PositiveIntegerField(_("tries"), default=0)
    verify_at = models.DateTimeField(_("verified again at"), null=True, blank=True)
    hold = models.CharField(_("held"), max_length=10, choices=Hold.choices, default=Hold.NONE, blank=True)

    # The observation
    remote_id = models.CharField(  # noqa: DJ001 - null is "not known there"; an id is unique
        _("id at Constant Contact"), max_length=64, null=True, blank=True
    )
    known_as = models.CharField(_("last seen there as"), max_length=254, blank=True, db_index=True)
    status = models.CharField(
        _("status"), max_length=12, choices=[(s.value, s.label) for s in ContactStatus], blank=True
    )
    opted_out_at = models.DateTimeField(_("opted out at"), null=True, blank=True)
    # When the site learned of an opt-out over there: a consent that was given before did not know of it.
    opted_out_seen_at = models.DateTimeField(_("opt-out first seen"), null=True, blank=True)
    opted_out_source = models.CharField(
        _("opted out by"),
        max_length=6,
        choices=[
            (OptOutSource.SITE.value, _("the person, on this site")),
            (OptOutSource.REMOTE.value, _("at Constant Contact")),
            (OptOutSource.OWNER.value, _("staff")),
        ],
        blank=True,
    )
    applied_gen = models.PositiveBigIntegerField(_("wish confirmed"), default=0)
    refusal = models.CharField(_("refused"), max_length=10, choices=Refusal.choices, default=Refusal.NONE, blank=True)
    seen_at = models.DateTimeField(_("last read"), null=True, blank=True)
    walk = models.PositiveIntegerField(default=0, editable=False)  # the last full pull that met her
    synced_at = models.DateTimeField(_("in sync at"), null=True, blank=True)
    error_code = models.CharField(_("last error"), max_length=40, blank=True)
    error_text = models.CharField(_("what happened"), max_length=300, blank=True)
    error_at = models.DateTimeField(_("failed at"), null=True, blank=True)

    objects = ContactQuerySet.as_manager()

    class Meta:
        verbose_name = _("contact")
        verbose_name_plural = _("contacts")
        constraints = [
            models.UniqueConstraint(fields=["account", "email"], name="ctct_contact_email"),
            models.UniqueConstraint(fields=["account", "remote_id"], name="ctct_contact_remote_id"),
            models.CheckConstraint(condition=Q(applied_gen__lte=F("desired_gen")), name="ctct_applied_after_desired"),
            models.CheckConstraint(
                condition=Q(lease_token__isnull=True, lease_until__isnull=True)
                | Q(lease_token__isnull=False, lease_until__isnull=False),
                name="ctct_lease_whole",
            ),
            models.CheckConstraint(
                condition=Q(due_at__isnull=False)
                | ~Q(hold="")
                | Q(desired_gen=F("applied_gen"), verify_at__isnull=True),
                name="ctct_pending_is_due_or_held",
            ),
        ]
        indexes = [
            PartialIndex(
                fields=["account", "priority", "due_at"], name="ctct_contact_due", where=Q(due_at__isnull=False)
            ),
        ]
        permissions = [
            ("sync_contact", "Can ask for a contact to be synced now"),
            ("remove_contact", "Can remove a contact from all managed lists"),
            ("opt_out_contact", "Can opt a contact out for good"),
            ("review_contact", "Can decide about someone who left a list at Constant Contact"),
        ]

    def __str__(self) -> str:
        return self.email

    def __repr__(self) -> str:
        # Reprs end up in logs and error mails: no address.
        return f"<Contact {self.pk}>"

    @property
    def heard_of_opt_out_at(self) -> datetime | None:
        """Return when the site learned of her opt-out, where that was after she made it."""
        at, seen_at = self.opted_out_at, self.opted_out_seen_at
        return seen_at if at is not None and seen_at is not None and seen_at > at else None


class FormerAddress(models.Model):
    """An address that a contact had before this one. It is forgotten once Constant Contact has the new one.

    Where no contact of ours has the address, it may be the one that Constant Contact still knows her by; ``sought``:
    a contact may have been made there under it without our knowing. Where one of ours has it, what that one has opted
    out of follows her from there.
    """

    contact = models.ForeignKey(
        Contact, on_delete=models.CASCADE, related_name="former_addresses", verbose_name=_("contact")
    )
    email = models.CharField(_("address"), max_length=254, db_index=True)
    at: models.DateTimeField[datetime, datetime] = models.DateTimeField(_("given up at"))
    sought = models.BooleanField(default=False)

    class Meta:
        verbose_name = _("former address")
        verbose_name_plural = _("former addresses")
        constraints = [models.UniqueConstraint(fields=["contact", "email"], name="ctct_former_address_once")]

    def __str__(self) -> str:
        return f"a former address of contact {self.contact_id}"


class PastAddress(models.Model):
    """An address that a contact had, which Constant Contact does not know any more: for links in old letters.

    It is used for nothing else, and kept for ``KEPT``: so long a link to unsubscribe has to work.
    """

    #: As the laws ask for: 30 days in the USA, 60 in Canada.
    KEPT = timedelta(days=60)

    contact = models.ForeignKey(
        Contact, on_delete=models.CASCADE, related_name="past_addresses", verbose_name=_("contact")
    )
    email = models.CharField(_("address"), max_length=254, db_index=True)
    at: models.DateTimeField[datetime, datetime] = models.DateTimeField(_("given up at"))

    class Meta:
        verbose_name = _("past address")
        verbose_name_plural = _("past addresses")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["contact", "email"], name="ctct_past_address_once")]

    def __str__(self) -> str:
        return f"a past address of contact {self.contact_id}"


class MembershipManager(models.Manager["Membership"]):
    """The wishes. Who wishes for nothing is told by ``with_idle`` alone."""

    def get_queryset(self) -> models.QuerySet[Membership]:
        return super().get_queryset().exclude(key=Membership.NO_LIST)


class Membership(models.Model):
    """A wish: this member puts this address on this list. The list is named by key, so binding can change.

    One for ``NO_LIST`` says only that the member has the address: she shares it, and is wished on no list. It is kept
    so that what she may have opted out of there follows her when she moves, and is no wish to anybody else.
    """

    NO_LIST = ""

    contact = models.ForeignKey(
        Contact, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("contact")
    )
    key = models.CharField(_("list"), max_length=64)
    member_key = models.CharField(_("member"), max_length=200)

    objects = MembershipManager()
    with_idle: models.Manager[Membership] = models.Manager()

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [models.UniqueConstraint(fields=["contact", "key", "member_key"], name="ctct_membership_once")]
        indexes = [models.Index(fields=["member_key"], name="ctct_membership_member")]

    def __str__(self) -> str:
        return f"{self.member_key} wants {self.key}"


class RemoteMembership(models.Model):
    """The base: a list that Constant Contact was last known to hold the contact on."""

    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="remote_memberships")
    list = models.ForeignKey(ContactList, on_delete=models.CASCADE, related_name="remote_memberships")
    source = models.CharField(max_length=7, choices=[(s.value, s.value) for s in OptInSource], blank=True)
    since = models.DateTimeField(null=True, blank=True)
    foreign = models.BooleanField(default=False, help_text=_("Added at Constant Contact, not by the site's wish."))
    walk = models.PositiveIntegerField(default=0, editable=False)  # the last full pull that met her there (v1)

    class Meta:
        verbose_name = _("list at Constant Contact")
        verbose_name_plural = _("lists at Constant Contact")
        constraints = [models.UniqueConstraint(fields=["contact", "list"], name="ctct_remote_membership_once")]

    def __str__(self) -> str:
        return f"contact {self.contact_id} on list {self.list_id}"


class ListOptOut(models.Model):
    """The person left one list. It is sticky: only a later consent of her own for that list outweighs it.

    Where the remote told of it, nobody knows whether she or the account's owner did it: staff look at it once and
    respect it, or put her back with a reason (``put_back_why``); then it does not count any more.
    """

    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="list_opt_outs")
    list = models.ForeignKey(ContactList, on_delete=models.CASCADE, related_name="opt_outs")
    at: models.DateTimeField[datetime, datetime] = models.DateTimeField(_("at"))
    seen_at = models.DateTimeField(_("first seen"), null=True, blank=True)  # where it was made over there
    source = models.CharField(_("where"), max_length=6, choices=[(s.value, s.value) for s in OptOutSource])
    reviewed_at = models.DateTimeField(_("looked at"), null=True, blank=True)
    reviewed_by = models.CharField(_("looked at by"), max_length=150, blank=True)
    put_back_why = models.CharField(_("put back because"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("opt-out of a list")
        verbose_name_plural = _("opt-outs of lists")
        constraints = [models.UniqueConstraint(fields=["contact", "list"], name="ctct_list_opt_out_once")]

    def __str__(self) -> str:
        return f"contact {self.contact_id} left list {self.list_id}"
