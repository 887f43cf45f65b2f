"""A Constant Contact that runs here: one account in memory, with the documented rules, over real HTTP.

It exists so that the demo, the tests and a site's own CI can talk to something that behaves, and misbehaves,
like the service, on both of its wires (v1 and v3) at once. It is written from the protocol sheets and imports
nothing else of this package: the client and the sandbox can disagree, and a test then shows it.

    with serve() as sandbox:
        requests.get(sandbox.url + "/_sandbox/state")
"""

from __future__ import annotations

from django_ctct.sandbox.account import Account
from django_ctct.sandbox.server import RunningSandbox, serve
from django_ctct.sandbox.switches import Switches
from django_ctct.sandbox.values import Credentials

__all__ = ["Account", "Credentials", "RunningSandbox", "Switches", "serve"]
