"""``ctct_keys``: seal the stored tokens, and name hashed addresses, with the newest key, so that an older one can go.

It also makes a new key, and says whether an older one is still needed.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from ... import privacy, tokens, vault
from ...exceptions import ConfigurationError
from ...models import Account
from ...privacy import Renewed
from ..account_command import AccountCommand


class Command(AccountCommand):
    help = (
        "Seal the stored tokens with the newest key, and name hashed addresses by it (those of all accounts). "
        "Exit code 1: something was made with a key that is not in the settings."
    )
    all_accounts = True

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--new", action="store_true", help="print a new key for CTCT['SECRET_KEYS'], and do no more"
        )

    def carry_out(self, options: dict[str, Any]) -> int:
        if options["new"]:
            self.stdout.write(vault.new_key())
            return 0
        rows = Account.objects.exclude(tokens="").order_by("alias")
        if options["account"]:
            rows = rows.filter(alias=options["account"])
        unreadable = [row.alias for row in rows if not self._reseal(row)]
        self.say(f"{len(rows) - len(unreadable)} of {len(rows)} accounts are sealed with the newest key.")
        renewed = privacy.renew_hashes()
        self._tell(renewed)
        return int(bool(unreadable or renewed.lost))

    def _tell(self, hashes: Renewed) -> None:
        if hashes.total:
            self.say(f"{hashes.total} hashed addresses, of consents and erased people: {hashes.renewed} named anew.")
        if hashes.kept:
            self.say(f"{hashes.kept} of them cannot be named anew, because the address was erased: keep the older keys")
            self.say("in CTCT['SECRET_KEYS'], or who opted out could be added again.")
        if hashes.lost:
            self.stdout.write(
                f"{hashes.lost} of them were made with a key that is not in the settings: put it back, behind the "
                "newest, or who opted out can be added again."
            )

    def _reseal(self, account: Account) -> bool:
        try:
            changed = tokens.reseal(account)
        except ConfigurationError as error:
            self.stdout.write(f"{account.alias}: {error}")
            return False
        self.say(f"{account.alias}: {'sealed anew' if changed else 'sealed with the newest key already'}")
        return True
