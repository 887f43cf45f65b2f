"""What was permitted and what came of it, and on whose word. Append-only but for an attempt's outcome.

The constraints here are the last guard of the opt-out: they refuse a forbidden write on every database,
whatever the code above believes.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from ..types import ContactStatus, OptInSource, Outcome, Verb
from .contact import Contact

__all__ = ["ABSENT", "Consent", "WriteAttempt"]

#: ``observed_status`` of a contact that was looked for and is not there.
ABSENT = "absent"

_MAY_BE_ADDED = [ContactStatus.ACTIVE.value, ContactStatus.UNCONFIRMED.value, ContactStatus.REMOVED.value, ABSENT]


class Consent(models.Model):
    """The person's own act: she asked to be on a list. Staff cannot make one."""

    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="consents", verbose_name=_("contact"))
    key = models.CharField(_("list"), max_length=64)
    at = models.DateTimeField(_("at"))
    method = models.CharField(_("how"), max_length=40)
    wording = models.TextField(_("wording shown"), blank=True)
    evidence = models.TextField(_("evidence"), blank=True)

    class Meta:
        verbose_name = _("consent")
        verbose_name_plural = _("consents")

    def __str__(self) -> str:
        return f"consent of contact {self.contact_id} for {self.key}"


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
