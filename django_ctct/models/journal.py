"""What was permitted and what came of it, and on whose word. Append-only but for an attempt's outcome.

The constraints here are the last guard of the opt-out: they refuse a forbidden write on every database,
whatever the code above believes. A consent is recorded once: ``ConsentQuerySet.renamed`` is the one way to
change a column of it.
"""

from __future__ import annotations

import uuid
from typing import Any, NoReturn

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from ..types import ConsentKind, ContactStatus, OptInSource, OptOutSource, Outcome, Verb
from .account import Account
from .contact import Contact

__all__ = ["ABSENT", "AppendOnly", "Consent", "OptOut", "Suppression", "WriteAttempt"]

#: ``observed_status`` of a contact that was looked for and is not there.
ABSENT = "absent"

_MAY_BE_ADDED = [ContactStatus.ACTIVE.value, ContactStatus.UNCONFIRMED.value, ContactStatus.REMOVED.value, ABSENT]


class AppendOnly(Exception):
    """A consent is neither changed nor deleted: it proves what she did. Record her next act as a new one."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class ConsentQuerySet(models.QuerySet["Consent"]):
    """Consents can be added and read."""

    def renamed(self, old: str, new: str) -> int:
        """Keep the consents of one address under its name by a newer key. Return how many there were."""
        return models.QuerySet.update(self.filter(address_hash=old), address_hash=new)

    def update(self, **_: Any) -> NoReturn:
        raise AppendOnly

    def delete(self) -> NoReturn:
        raise AppendOnly

    def bulk_update(self, *_: Any, **__: Any) -> NoReturn:
        raise AppendOnly

    def bulk_create(self, objs: Any, *args: Any, update_conflicts: bool = False, **options: Any) -> list[Consent]:
        if update_conflicts:
            raise AppendOnly
        return super().bulk_create(objs, *args, **options)


class Consent(models.Model):
    """The person's own act: she asked to be on a list. Staff cannot make one.

    It is kept under a keyed hash of her address (``vault.address_hash``), so that it can be proved after her row
    was erased; ``contact`` is her row as long as there is one. A row is never changed or deleted (``AppendOnly``),
    not even with its account; an erasure lets go of ``contact`` by the foreign key's own rule.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="consents", verbose_name=_("account"))
    contact = models.ForeignKey(
        Contact,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="consents",
        verbose_name=_("contact"),
    )
    address_hash = models.CharField(max_length=80, db_index=True, editable=False)
    key = models.CharField(_("list"), max_length=64)
    kind = models.CharField(
        _("kind"),
        max_length=14,
        choices=[(k.value, k.value) for k in ConsentKind],
        default=ConsentKind.CONTACT_ACTION.value,
    )
    at = models.DateTimeField(_("at"))
    method = models.CharField(_("how"), max_length=40)
    wording = models.TextField(_("wording shown"), blank=True)
    language = models.CharField(_("language of the wording"), max_length=35, blank=True)
    evidence = models.TextField(_("evidence"), blank=True)
    actor = models.CharField(_("recorded by"), max_length=150, blank=True)

    objects = ConsentQuerySet.as_manager()

    class Meta:
        verbose_name = _("consent")
        verbose_name_plural = _("consents")
        constraints = [
            models.CheckConstraint(
                condition=~Q(kind=ConsentKind.CONTACT_ACTION.value) | Q(actor=""), name="ctct_own_act_has_no_actor"
            ),
        ]

    def __str__(self) -> str:
        return f"consent of contact {self.contact_id} for {self.key}"

    def save(self, **options: Any) -> None:
        """Record the consent. Raise ``AppendOnly`` for one that is recorded already."""
        if not self._state.adding:
            raise AppendOnly
        super().save(**{**options, "force_insert": True})

    def delete(self, *_: Any, **__: Any) -> NoReturn:
        raise AppendOnly


class OptOut(models.Model):
    """Who put a contact on Do Not Mail by an act on this site, and why: for people to read, nothing rests on it."""

    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="opt_outs", verbose_name=_("contact"))
    at = models.DateTimeField(_("at"))
    source = models.CharField(_("where"), max_length=6, choices=[(s.value, s.value) for s in OptOutSource])
    reason = models.CharField(_("reason"), max_length=255, blank=True)
    actor = models.CharField(_("recorded by"), max_length=150, blank=True)

    class Meta:
        verbose_name = _("opt-out")
        verbose_name_plural = _("opt-outs")
        default_permissions = ()

    def __str__(self) -> str:
        return f"opt-out of contact {self.contact_id}"


class Suppression(models.Model):
    """An address that must not return, kept as a keyed hash after all else about it was erased.

    It counts like an opt-out at that time: only a later act of the person's own outweighs it.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="suppressions")
    address_hash = models.CharField(max_length=80, editable=False)
    at = models.DateTimeField(_("at"))
    source = models.CharField(_("where"), max_length=6, choices=[(s.value, s.value) for s in OptOutSource])

    class Meta:
        verbose_name = _("suppressed address")
        verbose_name_plural = _("suppressed addresses")
        constraints = [models.UniqueConstraint(fields=["account", "address_hash"], name="ctct_suppression_once")]

    def __str__(self) -> str:
        return f"suppressed since {self.at:%Y-%m-%d}"


class WriteAttempt(models.Model):
    """The permit for one write, committed before it is sent, and the history that staff read."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="writes", verbose_name=_("contact"))
    verb = models.CharField(_("write"), max_length=7, choices=[(v.value, v.value) for v in Verb])
    gen = models.PositiveBigIntegerField(_("wish number"))
    at = models.DateTimeField(_("at"))
    observed_status = models.CharField(_("status seen"), max_length=12)
    observed_opted_out_at = models.DateTimeField(_("opt-out seen"), null=True, blank=True)
    observed_updated_at = models.DateTimeField(_("last change seen"), null=True, blank=True)
    lists_before = models.JSONField(_("lists before"), default=list)
    lists_after = models.JSONField(_("lists after"), default=list)
    fields = models.JSONField(_("fields set"), default=list)
    adds = models.BooleanField(_("adds a list"))
    source = models.CharField(_("source"), max_length=7, choices=[(s.value, s.value) for s in OptInSource])
    consent = models.ForeignKey(
        Consent, on_delete=models.PROTECT, null=True, blank=True, related_name="attempts", verbose_name=_("consent")
    )
    consent_at = models.DateTimeField(_("consent of"), null=True, blank=True)
    outcome = models.CharField(
        _("outcome"), max_length=9, choices=[(o.value, o.value) for o in Outcome], default=Outcome.OPEN.value
    )
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    error_code = models.CharField(_("error"), max_length=40, blank=True)

    class Meta:
        verbose_name = _("write")
        verbose_name_plural = _("writes")
        constraints = [
            # Written so that no part can become NULL, which a CHECK would let through.
            models.CheckConstraint(
                condition=Q(adds=False)
                | Q(observed_status__in=_MAY_BE_ADDED)
                | Q(
                    consent_at__isnull=False,
                    observed_opted_out_at__isnull=False,
                    consent_at__gt=F("observed_opted_out_at"),
                ),
                name="ctct_no_add_after_opt_out",
            ),
            models.CheckConstraint(
                condition=Q(source=OptInSource.SITE.value) | Q(consent__isnull=False, consent_at__isnull=False),
                name="ctct_own_act_has_consent",
            ),
        ]
        indexes = [models.Index(fields=["contact", "-at"], name="ctct_attempt_history")]

    def __str__(self) -> str:
        return f"{self.verb} of contact {self.contact_id}: {self.outcome}"
