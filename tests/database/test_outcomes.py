"""What becomes of a try: the journal, the row and the account after each way in which a verb can end."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from django_ctct import conf, ledger, outbox, services, vault
from django_ctct.backends.memory import MemoryBackend
from django_ctct.exceptions import (
    AmbiguousWrite,
    AuthenticationFailed,
    CtctError,
    ListNotBound,
    MalformedResponse,
    QuotaExhausted,
    RateLimited,
    RemoteConflict,
    RemoteUnavailable,
    RequestRejected,
)
from django_ctct.models import Account, Contact, ContactList, DatabaseNow, Hold, Membership, WriteAttempt
from django_ctct.planning import Update
from django_ctct.quota import AccountGate
from django_ctct.sandbox.account import Account as Remote
from django_ctct.services import Link
from django_ctct.types import ContactStatus, Permit, Priority, RemoteContact

pytestmark = pytest.mark.django_db


class Told(MemoryBackend):
    """Does as a test tells it before a verb reaches the account."""

    fails: dict[str, Callable[[], Any]]
    asked: list[str]

    def find(self, email: str) -> RemoteContact | None:
        self._tell("find")
        return super().find(email)

    def get(self, remote_id: str) -> RemoteContact | None:
        self._tell("get")
        return super().get(remote_id)

    def create(self, permit: Permit) -> RemoteContact:
        self._tell("create")
        return super().create(permit)

    def update(self, existing: RemoteContact, permit: Permit) -> None:
        self._tell("update")
        super().update(existing, permit)

    def opt_out(self, existing: RemoteContact, permit: Permit) -> None:
        self._tell("opt_out")
        super().opt_out(existing, permit)

    def _tell(self, verb: str) -> None:
        self.asked.append(verb)
        self.fails.get(verb, lambda: None)()


@pytest.fixture
def link() -> Link:
    """A way to an account in memory with the lists "free" and "paid"."""
    account = Account.objects.for_alias("default")
    Account.objects.update(approved_at=DatabaseNow(), pulled_at=DatabaseNow())
    gate = AccountGate(conf.account("default"))
    backend = Told({"account": Remote()}, gate=gate)
    backend.fails, backend.asked = {}, []
    for key in ("free", "paid"):
        made = backend.create_list(key)
        ContactList.objects.create(account=account, remote_id=made.remote_id, name=key, key=key)
    return Link(account, backend, gate)


def told(link: Link) -> Told:
    assert isinstance(link.backend, Told)
    return link.backend


def wish(link: Link, *keys: str, email: str = "kim@example.com") -> Contact:
    contact, _ = Contact.objects.get_or_create(account=link.account, email=email, defaults={"claimed": True})
    Membership.objects.filter(contact=contact).delete()
    for key in keys:
        Membership.objects.create(contact=contact, key=key, member_key="1")
    outbox.mark([contact.pk], Priority.ADD)
    return contact


def known(link: Link) -> Contact:
    """Make a contact who is in sync, and then wishes for another list."""
    services.reconcile(link, wish(link, "free").pk)
    told(link).asked.clear()
    return wish(link, "free", "paid")


def failing(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def row_of(contact: Contact) -> Any:
    return Contact.objects.with_moment().get(pk=contact.pk)


def last_write() -> WriteAttempt:
    return WriteAttempt.objects.order_by("at")[WriteAttempt.objects.count() - 1]


BACKOFF, NEVER = 5, None
WHERE: Any = {"method": "PUT", "path": "/contacts/{id}"}


def unavailable(code: str, status: int | None) -> RemoteUnavailable:
    return RemoteUnavailable("r", code=code, status=status)


#: The error of a write, how its journal row ends, the seconds until the next try, whether it counts, and the hold.
ENDS: list[tuple[Exception, str, int | None, bool, Hold]] = [
    (AmbiguousWrite("r", code="timeout"), "ambiguous", BACKOFF, True, Hold.NONE),
    (RemoteUnavailable("r", code="dns"), "not_sent", BACKOFF, True, Hold.NONE),
    (RemoteUnavailable("r", code="http_408", status=408), "refused", BACKOFF, True, Hold.NONE),
    (RateLimited("r", retry_after=40.0, status=429), "refused", 40, False, Hold.NONE),
    (RemoteConflict("r", code="stale"), "not_sent", 1, False, Hold.NONE),
    (RemoteConflict("r", code="newer_wish"), "not_sent", 1, False, Hold.NONE),
    (RemoteConflict("r", code="old_first"), "not_sent", 1, False, Hold.NONE),
    (RemoteConflict("r", code="unclear"), "not_sent", 30, False, Hold.NONE),
    (RemoteConflict("r", code="not_approved"), "not_sent", 300, False, Hold.NONE),
    (RemoteConflict("r", code="behind"), "not_sent", 300, False, Hold.NONE),
    (RemoteConflict("r", code="http_409", status=409), "refused", BACKOFF, True, Hold.NONE),
    (AuthenticationFailed("r", code="unauthorized", status=401), "refused", 900, False, Hold.NONE),
    (RequestRejected("r", code="deleted", status=400), "refused", 86_400, False, Hold.NONE),
    (RequestRejected("r", code="address"), "not_sent", NEVER, True, Hold.INVALID),
    (RequestRejected("r", code="renamed"), "not_sent", NEVER, True, Hold.REVIEW),
    (RequestRejected("r", code="guard"), "not_sent", NEVER, True, Hold.REVIEW),
    (RequestRejected("r", code="do_not_mail", status=400), "refused", BACKOFF, True, Hold.NONE),
    (RequestRejected("r", code="http_400", status=400), "refused", BACKOFF, True, Hold.NONE),
    (MalformedResponse("r", code="redirect", status=302), "refused", BACKOFF, True, Hold.NONE),
]


@pytest.mark.parametrize(("error", "outcome", "wait", "counts", "hold"), ENDS, ids=[str(row[0].code) for row in ENDS])  # type: ignore[attr-defined]
def test_what_follows_from_the_error_of_a_write(
    link: Link, error: Any, outcome: str, wait: int | None, counts: bool, hold: Hold
) -> None:
    contact = known(link)
    told(link).fails["update"] = failing(error)
    assert services.reconcile(link, contact.pk) == services.Result(contact.pk, error=error)
    write, row = last_write(), row_of(contact)
    assert (write.outcome, write.error_code) == (outcome, error.code)
    assert (row.error_code, row.error_text, row.hold, row.attempts) == (error.code, "r", hold, int(counts))
    if wait is NEVER:
        assert row.due_at is None
    else:
        seconds = (row.due_at - row.moment).total_seconds()
        assert (0 if wait == BACKOFF else wait - 2) < seconds <= wait
    if outcome == "ambiguous":
        assert row.verify_at - row.moment > timedelta(seconds=145)
    else:
        assert row.verify_at is None


def test_after_the_days_last_call_the_row_waits_for_the_next_day(link: Link) -> None:
    contact = known(link)
    until = datetime.now(UTC) + timedelta(hours=3)
    told(link).fails["update"] = failing(QuotaExhausted("r", until=until))
    services.reconcile(link, contact.pk)
    row = row_of(contact)
    assert abs(row.due_at - until) < timedelta(seconds=5)
    assert (row.attempts, row.error_code, row.error_text, row.hold) == (0, "quota", "r", "")


@pytest.mark.parametrize(("code", "then"), [("http_400", Hold.REJECTED), ("do_not_mail", Hold.NONE)])
def test_a_write_that_is_refused_twice_is_held_unless_the_next_read_explains_it(
    link: Link, code: str, then: Hold
) -> None:
    contact = known(link)
    told(link).fails["update"] = failing(RequestRejected("r", code=code, status=400))
    for hold in (Hold.NONE, then):
        Contact.objects.update(due_at=DatabaseNow())
        services.reconcile(link, contact.pk)
        assert row_of(contact).hold == hold


@pytest.mark.parametrize("verb", ["create", "update"])
def test_a_bug_in_a_write_may_have_sent_it(link: Link, verb: str) -> None:
    contact = known(link) if verb == "update" else wish(link, "free")
    told(link).fails[verb] = failing(ValueError("kim@example.com"))
    error = services.reconcile(link, contact.pk).error
    assert isinstance(error, AmbiguousWrite)
    assert (error.code, error.__cause__, error.__suppress_context__) == ("error", None, True)
    assert str(error).startswith("ValueError at test_outcomes.py:")
    assert (last_write().outcome, last_write().error_code) == ("ambiguous", "error")
    row = row_of(contact)
    assert (row.error_code, row.error_text) == ("error", str(error))
    assert row.verify_at is not None


@pytest.mark.parametrize("kind", [ValueError, CtctError])
def test_what_goes_wrong_before_a_write_leaves_no_doubt(link: Link, kind: type[Exception]) -> None:
    contact = wish(link, "free")
    told(link).fails["find"] = failing(kind("r"))
    services.reconcile(link, contact.pk)
    row = row_of(contact)
    assert (row.error_code, row.verify_at, row.hold, row.attempts) == ("error", None, "", 1)
    assert row.error_text == "r" if kind is CtctError else row.error_text.startswith("ValueError at test_outcomes.py:")
    assert not WriteAttempt.objects.exists()


def test_a_list_that_is_not_bound_holds_the_contact(link: Link) -> None:
    contact = wish(link, "unbound")
    error = services.reconcile(link, contact.pk).error
    assert isinstance(error, ListNotBound)
    row = row_of(contact)
    assert (row.hold, row.error_code, row.error_text) == (Hold.UNBOUND, "not_bound", str(error))
    assert told(link).asked == []


def test_who_the_server_says_has_the_address_is_read_by_that_id_next(link: Link) -> None:
    contact = wish(link, "free")
    told(link).fails["create"] = failing(RemoteConflict("r", code="http_409", status=409, remote_id="9"))
    services.reconcile(link, contact.pk)
    assert row_of(contact).remote_id == "9"


@pytest.mark.parametrize(
    "error",
    [
        RemoteConflict("r", code="http_409", status=409, remote_id="9"),
        RemoteConflict("r", code="http_409", status=409),
        RemoteUnavailable("r", code="dns"),
    ],
)
def test_a_contact_that_was_read_keeps_its_id(link: Link, error: Exception) -> None:
    contact = known(link)
    before = row_of(contact).remote_id
    told(link).fails["update"] = failing(error)
    services.reconcile(link, contact.pk)
    assert row_of(contact).remote_id == before


@pytest.mark.parametrize("error", [RemoteConflict("r", code="x", status=409), RemoteUnavailable("r", code="dns")])
def test_without_an_id_from_the_server_none_is_noted(link: Link, error: Exception) -> None:
    contact = wish(link, "free")
    told(link).fails["create"] = failing(error)
    services.reconcile(link, contact.pk)
    assert row_of(contact).remote_id is None


def test_each_plan_is_carried_out_by_its_own_verb(link: Link) -> None:
    contact = known(link)
    services.reconcile(link, contact.pk)
    Contact.objects.filter(pk=contact.pk).update(opt_out_wanted=True)
    outbox.mark([contact.pk], Priority.OPT_OUT)
    services.reconcile(link, contact.pk)
    assert told(link).asked == ["get", "update", "get", "opt_out"]
    found = told(link).find(contact.email)
    assert found is not None
    assert found.status is ContactStatus.DO_NOT_MAIL
    assert list(WriteAttempt.objects.order_by("at").values_list("verb", "outcome", "lists_before", "lists_after")) == [
        ("create", "ok", [], ["1"]),
        ("update", "ok", ["1"], ["1", "2"]),
        ("opt_out", "ok", ["1", "2"], []),
    ]


def test_a_write_waits_three_seconds_for_its_slot_and_is_sent_within_five(link: Link) -> None:
    contact, seen = known(link), []

    def look() -> None:
        assert link.gate.send_by is not None
        seen.append((link.gate.patience, link.gate.send_by - time.time()))

    told(link).fails["update"] = look
    services.reconcile(link, contact.pk)
    ((patience, left),) = seen
    assert patience == 3
    assert 4 < left <= 5


def test_what_the_database_refuses_is_not_sent_and_waits_for_a_person(link: Link) -> None:
    """The planner refuses it before; this is for the day when it does not."""
    contact = known(link)
    Contact.objects.update(opt_out_wanted=True, seen_at=DatabaseNow())
    claim = outbox.claim(contact.pk)
    assert claim is not None
    existing = MemoryBackend({"account": told(link).account}).find(contact.email)
    plan = Update(frozenset({"1", "2"}), frozenset({"2"}))
    with pytest.raises(RequestRejected) as caught:
        services._write(link, claim, ledger.load(contact.pk, vault.address_hashes), existing, plan)
    assert (caught.value.code, str(caught.value)) == (
        "guard",
        "The database refused the write: the contact has opted out.",
    )
    assert caught.value.__suppress_context__, "the database's words hold the row"
    assert told(link).asked == []
