"""The sandbox on the command line: ``python -m django_ctct.sandbox --port 8900``.

It exists for people and for CI jobs that start it as a process. It prints the address on the first line, so
that a port of 0 can be read back, and ends in order on SIGINT and SIGTERM.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django_ctct.sandbox import acts
from django_ctct.sandbox.account import Account
from django_ctct.sandbox.server import RunningSandbox, serve
from django_ctct.sandbox.values import Refused


def main(argv: Sequence[str] | None = None) -> int:
    """Run a sandbox until it is told to stop; return the exit status."""
    options = _parser().parse_args(argv)
    try:
        account = _account(options.switch, options.list, options.contact)
        running = serve(options.port, options.host, account, seed=options.seed, allow_remote=options.allow_remote)
    except (ValueError, OSError, OverflowError, Refused) as wrong:
        print(f"The sandbox cannot start: {wrong}", file=sys.stderr)  # noqa: T201 -- a command speaks
        return 2
    # The signals come first: whoever reads the address may send one at once.
    with running, _stop_signals() as stopped:
        _introduce(running, quiet=options.quiet)
        stopped.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("django_ctct.sandbox", description="A Constant Contact that runs here.")
    add = parser.add_argument
    add("--port", type=int, default=8900, help="0 takes a free one (default: 8900)")
    add("--host", default="127.0.0.1", help="a loopback address (default: 127.0.0.1)")
    add("--allow-remote", action="store_true", help="let --host be an address that others can reach")
    add("--switch", action="append", default=[], metavar="NAME=VALUE", help="move a switch; may be repeated")
    add("--list", action="append", default=[], metavar="NAME", help="make a list; may be repeated")
    add(
        "--contact",
        action="append",
        default=[],
        metavar="ADDRESS:LIST,LIST",
        help="make a contact, and its lists on demand; may be repeated",
    )
    add("--seed", type=int, default=0, help="of the chances of faults (default: 0)")
    add("--quiet", action="store_true", help="print the address only")
    return parser


def _account(switches: list[str], lists: list[str], contacts: list[str]) -> Account:
    account = Account()
    account.switch(dict(_pair(each, "=") for each in switches))
    acts.reset(account, {"lists": lists, "contacts": [_contact(each) for each in contacts]})
    return account


def _pair(text: str, sign: str) -> tuple[str, str]:
    name, found, value = text.partition(sign)
    if not found:
        raise ValueError(f"{text!r} is not NAME{sign}VALUE.")
    return name.strip(), value.strip()


def _contact(text: str) -> dict[str, object]:
    address, _, names = text.partition(":")
    return {"email": address.strip(), "lists": [name.strip() for name in names.split(",") if name.strip()]}


def _introduce(running: RunningSandbox, *, quiet: bool) -> None:
    known = running.credentials
    lines = [running.url]
    if not quiet:
        lines += [
            f"  v1 base URL   {running.url}/ws/customers/{known.username}/",
            f"  username      {known.username}",
            f"  API key       {known.api_key}",
            f"  password      {known.password}",
            f"  access token  {known.access_token} (both wires)",
            f"  v3 base URL   {running.url}/v3",
            f"  OAuth server  {running.url}/oauth2/default/v1",
            f"  client id     {known.client_id}",
            f"  client secret {known.client_secret}",
            "Open the address in a browser to see the account. Stop with Ctrl+C.",
        ]
    print("\n".join(lines), flush=True)  # noqa: T201 -- a command speaks


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into an event."""
    stopped = threading.Event()
    wanted = (signal.SIGINT, signal.SIGTERM)
    before = {each: signal.signal(each, lambda *_: stopped.set()) for each in wanted}
    try:
        yield stopped
    finally:
        for each, action in before.items():
            signal.signal(each, action)


if __name__ == "__main__":
    sys.exit(main())
