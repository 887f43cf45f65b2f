"""``ctct_connect``: connect an account by a person's consent, from a terminal; disconnect it; adopt a moved site."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from django.core.management.base import CommandError, CommandParser
from django.utils.crypto import constant_time_compare

from ... import conf, environment, outbox, tokens
from ...backends.oauth2 import Grant, GrantRefused, OAuthClient, StillWaiting
from ...exceptions import ConfigurationError, TransientError
from ...models import Account
from ..account_command import AccountCommand

#: Who connected, where no user of the site is known.
_BY = "ctct_connect"


class Command(AccountCommand):
    help = "Connect an account to Constant Contact. Exit code 1: nobody consented, or it could not be done."
    #: How the command asks a person, and how it waits. Seconds.
    ask: ClassVar[Callable[[str], str]] = staticmethod(input)
    sleep: ClassVar[Callable[[float], None]] = staticmethod(time.sleep)

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        way = parser.add_mutually_exclusive_group()
        way.add_argument("--paste", action="store_true", help="print an address, and ask for what the browser got back")
        way.add_argument("--disconnect", action="store_true", help="forget the tokens")
        way.add_argument("--adopt", action="store_true", help="say that this database is the live one now")

    def carry_out(self, options: dict[str, Any]) -> int:
        settings = conf.account(options["account"])
        account = Account.objects.for_alias(settings.alias)
        if options["adopt"]:
            return self._adopt(account)
        client = tokens.oauth_client(settings)
        try:
            return self._disconnect(account) if options["disconnect"] else self._connect(account, client, options)
        finally:
            client.close()

    def _connect(self, account: Account, client: OAuthClient, options: dict[str, Any]) -> int:
        environment.check(account)
        try:
            grant = self._by_paste(client) if options["paste"] else self._by_device(client)
        except GrantRefused as error:
            raise CommandError(f"Not connected: {error.reason}.") from error
        tokens.keep(account, grant, by=_BY)
        self.say(f"{account.alias} is connected to Constant Contact.")
        if not grant.refresh:
            self.say(
                "Constant Contact gave no refresh token: the connection ends with the access token, within a day. "
                "Add offline_access to the scope, or connect with --paste or in the admin."
            )
        return 0

    def _adopt(self, account: Account) -> int:
        environment.adopt(account)
        outbox.wake(account.alias)
        self.say(f"This is the live site for {account.alias} from now on.")
        return 0

    def _disconnect(self, account: Account) -> int:
        tokens.forget(account)
        self.say(f"{account.alias} is disconnected. Changes of members wait.")
        return 0

    # By a code that a person types in any browser

    def _by_device(self, client: OAuthClient) -> Grant:
        code = client.start_device()
        self.stdout.write(f"Open {code.url} in a browser and enter the code {code.user_code}")
        ends, interval = time.monotonic() + code.seconds, float(code.interval)
        while time.monotonic() < ends:
            type(self).sleep(interval)
            try:
                return client.finish_device(code.device_code)
            except StillWaiting as waiting:
                interval += 5.0 if waiting.code == "slow_down" else 0.0  # RFC 8628 §3.5
            except TransientError:
                interval = min(interval * 2, 60.0)  # as the same section asks after a timeout
        raise GrantRefused("nobody consented in time", code="expired_token")

    # By what the browser got back

    def _by_paste(self, client: OAuthClient) -> Grant:
        if not client.redirect_uri:
            raise ConfigurationError("--paste needs redirect_uri in OPTIONS: one of those of your application.")
        state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)
        goal = client.authorize_uri(redirect_uri=client.redirect_uri, state=state, verifier=verifier)
        self.stdout.write(f"Open this address in a browser and consent:\n\n{goal}\n")
        pasted = type(self).ask("Paste the address that the browser ends at, or its code: ").strip()
        return client.exchange(_code(pasted, state), redirect_uri=client.redirect_uri, verifier=verifier)


def _code(pasted: str, state: str) -> str:
    """Return the code. A whole address must be the answer to our own question."""
    if "=" not in pasted:
        code = pasted
    else:
        found = parse_qs(urlsplit(pasted).query)
        if not constant_time_compare("".join(found.get("state", [])), state):
            raise CommandError("Not connected: this address is not the answer to the one above.")
        code = "".join(found.get("code", []))
    if not code:
        raise CommandError("Not connected: there is no code in this.")
    return code
