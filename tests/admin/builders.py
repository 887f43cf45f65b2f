"""Rows for the pages: made-up people in every state, and staff with exactly the permissions that a test names."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import Permission, User
from django.utils import timezone

from django_ctct import vault
from django_ctct.models import (
    Account,
    Consent,
    Contact,
    ContactList,
    ListOptOut,
    Membership,
    RemoteMembership,
    WriteAttempt,
)
from django_ctct.types import ConsentKind, Outcome, Verb
from tests.account import by_wire
from tests.site.models import Member

SCRIPT = "<script>document.title='gone'</script>"
LISTS = {"free": "Free members", "sustainers": "Sustainers", "newsletter": "Newsletter"}


def ago(minutes: float) -> datetime:
    return timezone.now() - timedelta(minutes=minutes)


def remote_id(number: int) -> str:
    """Return an id as the wire under test has it: a number on v1, a UUID on v3."""
    return by_wire(str(number), f"00000000-0000-4000-8000-{number:012}")


def account() -> Account:
    return Account.objects.for_alias("default")


def lists(**names: str) -> dict[str, ContactList]:
    """Make the managed lists by their keys, and one that is not managed under ``board``."""
    made = {}
    for number, (key, name) in enumerate((LISTS | names).items(), start=1):
        made[key] = _list(number, name, key)
    made["board"] = _list(99, "Board", None)
    return made


def _list(number: int, name: str, key: str | None) -> ContactList:
    row, _made = ContactList.objects.update_or_create(
        account=account(),
        remote_id=remote_id(number),
        defaults={"name": name, "key": key, "seen_at": ago(60), "members": 7},
    )
    return row


def contact(email: str, wants: Iterable[str] = (), on: Iterable[str] = (), **values: Any) -> Contact:
    """Make a contact that is in sync unless ``values`` say otherwise; ``on`` names lists by key or ``board``."""
    defaults = {
        "desired_gen": 1,
        "applied_gen": 1,
        "synced_at": ago(30),
        "seen_at": ago(30),
        "status": "active",
        "claimed": True,
    }
    if "remote_id" not in values and values.get("status", "active"):
        defaults["remote_id"] = remote_id(1000 + Contact.objects.count())
    row = Contact.objects.create(account=account(), email=email, **{**defaults, **values})
    wished = [*wants]
    if wished:
        first, last = values.get("first_name", ""), values.get("last_name", "")
        member = Member(email=email, first_name=first[:200], last_name=last[:200])
        member.save_base(raw=True)  # no signal: the rows are the test's own
        key = f"site.member:{member.pk}"
        Membership.objects.bulk_create(Membership(contact=row, key=one, member_key=key) for one in wished)
    by_key = {one.key or "board": one for one in account().lists.all()}
    RemoteMembership.objects.bulk_create(
        RemoteMembership(contact=row, list=by_key[one], source="site", since=ago(90_000)) for one in on
    )
    return row


def write(of: Contact, before: list[int], after: list[int], minutes: float = 30, **values: Any) -> WriteAttempt:
    """Make a row of the journal; lists go by their numbers (``lists``)."""
    known = {
        "verb": Verb.UPDATE.value,
        "outcome": Outcome.OK.value,
        "observed_status": "active",
        "source": "site",
        "gen": of.desired_gen,
        "adds": bool(set(after) - set(before)),
    }
    values = known | values
    named = {"lists_before": [*map(remote_id, before)], "lists_after": [*map(remote_id, after)]}
    return WriteAttempt.objects.create(id=uuid4(), contact=of, at=ago(minutes), **named, **values)


def left(who: Contact, one: ContactList, source: str = "remote", minutes: float = 3000) -> ListOptOut:
    return ListOptOut.objects.create(contact=who, list=one, at=ago(minutes), source=source)


def scene() -> dict[str, Contact]:
    """Make people in every state, by the name of the state."""
    made = lists()
    everyone = {**_well(made), **_waiting(), **_stuck(), **_gone(made)}
    Account.objects.filter(alias="default").update(reached_at=ago(2), lists_read_at=ago(60))
    return everyone


def _well(made: dict[str, ContactList]) -> dict[str, Contact]:
    ada = contact(
        "ada.lovelace@example.com",
        ["sustainers", "newsletter"],
        ["sustainers", "newsletter", "board"],
        first_name="Ada",
        last_name="Lovelace",
        profile={"first_name": "Ada", "last_name": "Lovelace", "company_name": "Analytical Engines " * 5},
    )
    write(ada, [], [1], 90_000, verb="create", fields=["first_name", "last_name"], observed_status="absent")
    write(ada, [1, 99], [2, 3, 99], 30)
    kept = contact("noor@example.com", [], ["newsletter"], first_name="Noor")
    RemoteMembership.objects.filter(contact=kept).update(foreign=True)
    return {
        "in sync": ada,
        "kept": kept,
        "unconfirmed": contact(
            "una@example.com", ["newsletter"], ["newsletter"], status="unconfirmed", first_name="Una", last_name="Weiß"
        ),
        "on no list": contact("rex@example.com", status="removed", first_name="Rex", last_name="Ortiz"),
        "stranger": contact(
            "stranger@example.com", [], ["newsletter"], desired_gen=0, applied_gen=0, synced_at=None, claimed=False
        ),
        "script": contact(
            "script@example.com",
            ["free"],
            ["free"],
            first_name=SCRIPT,
            last_name="& Co",
            profile={"first_name": SCRIPT},
        ),
        "long": contact(
            f"{'a' * 60}.{'b' * 60}@{'long-domain.' * 6}example.com",
            ["free", "sustainers", "newsletter"],
            ["free", "sustainers", "newsletter"],
            first_name="Wolfeschlegelsteinhausenbergerdorff" * 2,
            last_name="🎉 O’Brien-Ñandú 山田",
        ),
    }


def _waiting() -> dict[str, Contact]:
    pending = {"desired_gen": 2, "applied_gen": 1, "wished_at": ago(3), "due_at": ago(3)}
    return {
        "pending": contact(
            "grace@example.com", ["sustainers"], ["free", "board"], first_name="Grace", last_name="Hopper", **pending
        ),
        "new": contact(
            "new@example.com",
            ["free", "newsletter"],
            first_name="Nell",
            last_name="Newman",
            **(pending | {"applied_gen": 0, "desired_gen": 1, "status": "", "seen_at": None, "synced_at": None}),
        ),
        "retry": contact(
            "retry@example.com",
            ["sustainers"],
            [],
            first_name="Rita",
            **(pending | {"attempts": 1, "due_at": ago(-2)}),
            error_code="http_503",
            error_text="GET /contacts/{id} answered 503: the server cannot answer now [request 7f3a]",
            error_at=ago(1),
        ),
        "under way": contact(
            "busy@example.com", ["free"], [], **pending, lease_token=uuid4(), lease_until=ago(-1.5), first_name="Bea"
        ),
        "verify": contact("verify@example.com", ["free"], ["free"], verify_at=ago(-2), due_at=ago(-2)),
        "opting out": contact(
            "soon@example.com",
            [],
            ["free"],
            **pending,
            opt_out_wanted=True,
            opted_out_at=ago(3),
            opted_out_source="site",
        ),
    }


def _stuck() -> dict[str, Contact]:
    stuck = {"desired_gen": 2, "applied_gen": 1, "wished_at": ago(4000), "due_at": None, "error_at": ago(3900)}
    unbound = "No list at Constant Contact is bound to: donors. Bind it with ctct_lists or in the admin."
    return {
        "unbound": contact(
            "dona@example.com",
            ["donors", "free"],
            ["free"],
            **stuck,
            hold="unbound",
            error_code="not_bound",
            error_text=unbound,
            first_name="Dona",
        ),
        "wrong address": contact(
            "not-an-address",
            ["free"],
            **(stuck | {"applied_gen": 0, "desired_gen": 1, "synced_at": None}),
            status="",
            hold="invalid",
            error_code="address",
            error_text="The address is not an e-mail address.",
        ),
        "rejected": contact(
            "rejected@example.com",
            ["sustainers"],
            ["free"],
            **stuck,
            hold="rejected",
            error_code="http_400",
            error_text="PUT /contacts/{id} answered 400: the server refused the request [request 9c1d]",
            first_name="Ray",
        ),
        "failing": contact(
            "failing@example.com",
            ["sustainers"],
            ["free"],
            **(stuck | {"due_at": ago(-40), "attempts": 6}),
            error_code="timeout",
            error_text="GET /contacts/{id}: no answer within 20 seconds",
            first_name="Faye",
        ),
        "renamed": contact(
            "renamed@example.com",
            ["free"],
            [],
            **stuck,
            hold="review",
            error_code="renamed",
            error_text="At Constant Contact this contact has another address now.",
        ),
    }


def _gone(made: dict[str, ContactList]) -> dict[str, Contact]:
    out = {"status": "do_not_mail", "opted_out_at": ago(80_000), "opted_out_source": "remote"}
    gone = contact("dora@example.com", ["newsletter"], **out, refusal="opted_out", first_name="Dora", last_name="Ek")
    Consent.objects.create(
        account=gone.account,
        contact=gone,
        address_hash="-",
        key="newsletter",
        at=ago(90_000),
        method="web form",
        wording="Send me news",
    )
    write(gone, [3], [], 80_000, verb="opt_out", observed_status="do_not_mail")
    quitter = contact("leo@example.com", ["free", "newsletter"], ["free"], refusal="left_list", first_name="Leo")
    left(quitter, made["newsletter"])
    taken = contact("tess@example.com", ["free"], [], status="removed", refusal="left_list", first_name="Tess")
    left(taken, made["free"], "owner")
    vanished = _list(50, "Summer events", "events")
    ContactList.objects.filter(pk=vanished.pk).update(missing_since=ago(600))
    return {
        "opted out": gone,
        "opted out, not wanted": contact("done@example.com", **out),
        "left a list": quitter,
        "taken off": taken,
        "list gone": contact(
            "mia@example.com", ["free", "events"], ["free"], refusal="missing", first_name="Mia", last_name="Moreau"
        ),
    }


#: What keeps anything from being sent, by the account's row.
STANDSTILLS: dict[str, dict[str, Any]] = {
    "refused": {"auth_failed_at": 95, "paused_until": -25, "pause_reason": "credentials refused"},
    "paused": {"paused_until": -7, "pause_reason": "too many calls"},
    "used up": {"paused_until": -700, "pause_reason": "the day's calls are used up"},
}


def standstill(kind: str) -> None:
    """Let Constant Contact refuse the account's credentials, or let its calls be paused. A number is minutes ago."""
    row = {"auth_failed_at": None, "paused_until": None, "pause_reason": ""} | STANDSTILLS[kind]
    Account.objects.update(**{name: ago(it) if isinstance(it, int) else it for name, it in row.items()})


def waits_for_staff() -> dict[str, Contact]:
    """Make an account that was not approved and whose news is old, and people who left a list over there."""
    scene()
    newsletter = ContactList.objects.get(key="newsletter")
    Account.objects.filter(alias="default").update(
        approved_at=None, pulled_at=ago(95), walk_begun_at=ago(200), walk_ended_at=ago(95), walk_seen=1234
    )
    people = {
        name: contact(f"{name}@example.com", ["free", "newsletter"], ["free"], refusal="left_list", first_name="Lea")
        for name in ("left", "respected", "put-back", "opted-out")
    }
    for one in people.values():
        left(one, newsletter)
    decided = {"reviewed_at": ago(60), "reviewed_by": "sam"}
    ListOptOut.objects.filter(contact=people["respected"]).update(**decided)
    why = "Taken off by mistake when the list was cleaned; she asked for it by phone."
    ListOptOut.objects.filter(contact=people["put-back"]).update(**decided, put_back_why=why)
    Contact.objects.filter(pk=people["put-back"].pk).update(desired_gen=2, wished_at=ago(60), due_at=ago(-3))
    Contact.objects.filter(pk=people["opted-out"].pk).update(
        status="do_not_mail", opted_out_at=ago(10), opted_out_source="remote", refusal="opted_out"
    )
    RemoteMembership.objects.filter(contact=people["opted-out"]).delete()
    _word(people["left"])
    return people


def _word(who: Contact) -> None:
    """Record what she asked for: once under a proved address, and once in a form that anybody can fill in."""
    known = {"account": who.account, "contact": who, "address_hash": vault.address_hash(who.email), "key": "newsletter"}
    asked = {"method": "web form", "wording": "Send me news of our work, about once a month."}
    Consent.objects.create(**known, **asked, at=ago(9000))
    Consent.objects.create(**known, method="by phone", at=ago(8000), kind=ConsentKind.REQUEST.value, actor="sam")


def staff(*permissions: str, name: str = "sam") -> User:
    """Make a member of staff with these permissions of the app, by codename."""
    user = User.objects.create_user(name, f"{name}@example.com", "pass", is_staff=True)
    found = Permission.objects.filter(content_type__app_label__in=["django_ctct", "site"], codename__in=permissions)
    assert found.count() == len(permissions)
    user.user_permissions.set(found)
    return user


def chief() -> User:
    return User.objects.create_superuser("chief", "chief@example.com", "pass")
