"""The account, its lists and its share of calls. Tables only: no I/O beyond the database, no policy."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..types import RemoteAddition, RemoteRemoval

__all__ = ["Account", "ContactList", "Quota"]


class AccountManager(models.Manager["Account"]):
    def for_alias(self, alias: str) -> Account:
        """Return the row of an alias of ``CTCT['ACCOUNTS']``, made on first use."""
        row, _made = self.get_or_create(alias=alias)
        return row


class Account(models.Model):
    """One Constant Contact account, by its alias in ``CTCT['ACCOUNTS']``. Credentials stay in the settings."""

    alias = models.CharField(_("alias"), max_length=64, unique=True)
    paused_until = models.DateTimeField(_("paused until"), null=True, blank=True)
    pause_reason = models.CharField(_("reason"), max_length=40, blank=True)
    auth_failed_at = models.DateTimeField(_("credentials refused at"), null=True, blank=True)
    reached_at = models.DateTimeField(_("last answer"), null=True, blank=True)
    lists_read_at = models.DateTimeField(_("lists last read"), null=True, blank=True)

    objects = AccountManager()

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        permissions = [("check_account", "Can check the connection and read the lists")]

    def __str__(self) -> str:
        return self.alias


class Quota(models.Model):
    """The calls of one API key, shared by all workers. ``key_hash`` is a digest: the key itself is not kept."""

    key_hash = models.CharField(max_length=64, unique=True)
    next_slot = models.DateTimeField(null=True)
    day = models.DateField(null=True)
    used = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("quota")
        verbose_name_plural = _("quotas")

    def __str__(self) -> str:
        return f"{self.used} calls on {self.day}"


class ContactList(models.Model):
    """A list at Constant Contact. It is *managed* when it has a key; without one it is never touched."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="lists", verbose_name=_("account"))
    remote_id = models.CharField(_("id at Constant Contact"), max_length=64)
    name = models.CharField(_("name"), max_length=255, blank=True)
    key = models.CharField(  # noqa: DJ001 - null is "no key"; many lists have none, and a key is unique
        _("key"),
        max_length=64,
        null=True,
        blank=True,
        help_text=_("The site's name for this list. Empty: not managed."),
    )
    on_remote_removal = models.CharField(
        _("when someone leaves it at Constant Contact"),
        max_length=10,
        choices=[
            (RemoteRemoval.RESPECT.value, _("respect it: she stays off")),
            (RemoteRemoval.RESTORE.value, _("put her back: the site's rule wins")),
        ],
        default=RemoteRemoval.RESPECT.value,
    )
    on_remote_addition = models.CharField(
        _("when someone is added to it at Constant Contact"),
        max_length=10,
        choices=[
            (RemoteAddition.REMOVE.value, _("take her off: the site's rule wins")),
            (RemoteAddition.KEEP.value, _("keep her on it")),
        ],
        default=RemoteAddition.REMOVE.value,
    )
    members = models.PositiveIntegerField(_("members"), null=True, blank=True)
    seen_at = models.DateTimeField(_("last seen"), null=True, blank=True)
    missing_since = models.DateTimeField(_("missing since"), null=True, blank=True)

    class Meta:
        verbose_name = _("contact list")
        verbose_name_plural = _("contact lists")
        ordering = ["name", "remote_id"]
        constraints = [
            models.UniqueConstraint(fields=["account", "remote_id"], name="ctct_list_remote_id"),
            models.UniqueConstraint(fields=["account", "key"], name="ctct_list_key"),
        ]
        permissions = [("bind_contactlist", "Can bind a list to a key")]

    def __str__(self) -> str:
        return self.name or f"list {self.remote_id}"
