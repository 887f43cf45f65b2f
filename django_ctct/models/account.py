"""The account, its lists and its share of calls. Tables only: no I/O beyond the database, no policy."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..types import RemoteAddition, RemoteRemoval
from .clock import DatabaseNow

__all__ = ["Account", "AuthState", "ContactList", "Quota"]


class AuthState(models.TextChoices):
    """Whether staff's consent is there (OAuth 2). Accounts with fixed credentials stay ``never``."""

    NEVER = "never", _("not connected")
    CONNECTED = "connected", _("connected")
    RECONNECT = "reconnect", _("must be connected again")


class AccountManager(models.Manager["Account"]):
    def for_alias(self, alias: str) -> Account:
        """Return the row of an alias of ``CTCT['ACCOUNTS']``, made on first use."""
        row, _made = self.get_or_create(alias=alias)
        return row

    def afresh(self, pk: int) -> Account:
        """Read a row again, with the database's time of reading; ``moment_of`` gives it."""
        return self.annotate(moment=DatabaseNow()).get(pk=pk)


class Account(models.Model):
    """One Constant Contact account, by its alias in ``CTCT['ACCOUNTS']``. Credentials stay in the settings.

    ``tokens`` is sealed text that only the rooms ``vault`` and ``tokens`` can read. It and what belongs to it are
    left out of dumps: a token that was renewed since would be dead, and one that was not is nobody's business.
    """

    alias = models.CharField(_("alias"), max_length=64, unique=True)
    paused_until = models.DateTimeField(_("paused until"), null=True, blank=True)
    pause_reason = models.CharField(_("reason"), max_length=40, blank=True)
    auth_failed_at = models.DateTimeField(_("credentials refused at"), null=True, blank=True)
    reached_at = models.DateTimeField(_("last answer"), null=True, blank=True)
    lists_read_at = models.DateTimeField(_("lists last read"), null=True, blank=True)

    # OAuth 2. ``token_version`` counts what was stored: a statement that names it cannot undo a newer one.
    tokens = models.TextField(blank=True, default="", editable=False, serialize=False)
    token_version = models.PositiveIntegerField(default=0, editable=False, serialize=False)
    token_lease = models.UUIDField(null=True, editable=False, serialize=False)
    token_lease_until = models.DateTimeField(null=True, editable=False, serialize=False)
    auth_state = models.CharField(
        _("consent"),
        max_length=10,
        choices=AuthState.choices,
        default=AuthState.NEVER,
        editable=False,
        serialize=False,
    )
    # The digest of the state of the consent under way, until it is spent: the session alone could bring it back.
    consent_state = models.CharField(max_length=64, blank=True, default="", editable=False, serialize=False)
    connected_at = models.DateTimeField(_("connected at"), null=True, editable=False)
    connected_by = models.CharField(_("connected by"), max_length=150, blank=True, editable=False)
    refreshed_at = models.DateTimeField(_("connection last renewed"), null=True, editable=False)
    # The pull. ``pulled_at``: all that happened before it is known here. The marks are the server's own clock.
    pulled_at = models.DateTimeField(_("news read"), null=True, editable=False)
    pulled_to = models.DateTimeField(null=True, editable=False)
    opt_outs_pulled_to = models.DateTimeField(null=True, editable=False)
    pull_lease = models.UUIDField(null=True, editable=False)
    pull_lease_until = models.DateTimeField(null=True, editable=False)
    # The full pull under way, or the last one: its number, where it goes on, and how many it has seen.
    walk = models.PositiveIntegerField(default=0, editable=False)
    walk_cursor = models.TextField(blank=True, default="", editable=False)
    walk_from = models.DateTimeField(null=True, editable=False)
    walk_begun_at = models.DateTimeField(_("all contacts: begun"), null=True, editable=False)
    walk_ended_at = models.DateTimeField(_("all contacts last read"), null=True, editable=False)
    walk_seen = models.PositiveIntegerField(_("contacts seen"), default=0, editable=False)
    # What the wire has learned of the account and may use the next time (v3: the ids of its custom fields).
    wire_memory = models.JSONField(default=dict, editable=False, serialize=False)
    # Until a person has read the plan, nothing is sent but opt-outs.
    approved_at = models.DateTimeField(_("plan approved at"), null=True, editable=False)
    approved_by = models.CharField(_("plan approved by"), max_length=150, blank=True, editable=False)
    # The mark of the place where the account was connected. It stays in dumps: it is what tells a copy.
    environment = models.CharField(max_length=64, blank=True, editable=False)

    objects = AccountManager()

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        permissions = [
            ("check_account", "Can check the connection and read the lists"),
            ("connect_account", "Can connect the account to Constant Contact, and disconnect it"),
            ("approve_account", "Can approve the plan, so that changes are sent"),
        ]

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
