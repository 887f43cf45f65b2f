"""The contract, run over each door: memory, and v1 and v3 over HTTP to the sandbox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from django_ctct.backends.base import BaseBackend
from django_ctct.backends.memory import MemoryBackend, account_named
from django_ctct.exceptions import ConfigurationError, RateLimited
from django_ctct.sandbox import Account, RunningSandbox, serve
from django_ctct.types import ContactStatus, OptInSource, RemoteContact, RemoteList, Verb

from .builders import permit
from .contract import BackendContract
from .doors import OTHERWISE, OTHERWISE_V3, connected, connected_v3


class TestMemory(BackendContract):
    @pytest.fixture
    def backend(self) -> BaseBackend:
        return MemoryBackend({"account": Account()})


@pytest.fixture(scope="module")
def box() -> Iterator[RunningSandbox]:
    with serve() as running:
        yield running


@pytest.mark.sandbox
class TestAtom(BackendContract):
    @pytest.fixture
    def backend(self, box: RunningSandbox) -> Iterator[BaseBackend]:
        box.sandbox.account.reset()
        backend = connected(box)
        yield backend
        backend.close()


@pytest.mark.sandbox
class TestAtomWhereTheDocumentsLeaveDoubt(BackendContract):
    """The same behaviours, with every doubt of the protocol sheet that may not matter the other way round."""

    @pytest.fixture
    def backend(self, box: RunningSandbox) -> Iterator[BaseBackend]:
        account = box.sandbox.account
        account.reset()
        usual = account.switches
        account.switch(OTHERWISE)
        backend = connected(box)
        yield backend
        backend.close()
        account.switch(usual.as_dict())


class JSONContract(BackendContract):
    """Where v3 differs from v1: docs/wires.md."""

    fields_of_kim = {
        "first_name": "Kim 😀",
        "last_name": "Lee & <Söhne>",
        "home_phone": "1" * 25,
        "addr1": "A 1",
        "addr3": "C & D",
        "state_name": "Åland",
        "custom:tier": "gold " * 51,
    }
    fields_of_kim = {name: value.strip() for name, value in fields_of_kim.items()}
    nothing = "00000000-0000-4000-8000-000000000999"
    tells_subscriptions = False
    tells_changes = False
    finds_unconfirmed = True
    ordered = False
    unknown_list = "contacts.api.validation.error"
    refuses_members_of_nothing = False
    tells_whose_address = True


@pytest.mark.sandbox
class TestJSON(JSONContract):
    @pytest.fixture
    def backend(self, box: RunningSandbox) -> Iterator[BaseBackend]:
        backend = connected_v3(box)
        yield backend
        backend.close()


@pytest.mark.sandbox
class TestJSONWhereTheDocumentsLeaveDoubt(JSONContract):
    """The same behaviours, with every doubt of the protocol sheet that may not matter the other way round."""

    tells_whose_address = False

    @pytest.fixture
    def backend(self, box: RunningSandbox) -> Iterator[BaseBackend]:
        usual = box.sandbox.account.switches
        backend = connected_v3(box, **OTHERWISE_V3)
        backend.activity_waits = (0, 0.01, 0.1)
        yield backend
        backend.close()
        box.sandbox.account.switch(usual.as_dict())


@pytest.mark.sandbox
def test_a_token_opens_the_same_account(box: RunningSandbox) -> None:
    backend = connected(box, access_token="sandbox-token")
    assert backend.find("nobody@example.com") is None
    backend.close()


@pytest.mark.sandbox
def test_memory_and_v1_read_the_same_account_alike(box: RunningSandbox) -> None:
    """Word for word: what one door writes, both read as equal values."""
    account = box.sandbox.account
    account.reset()
    memory, wire = MemoryBackend({"account": account}), connected(box)
    one, two = (memory.create_list(name).remote_id for name in ("Free", "Sustainers"))
    fields = {"first_name": "Kim", "last_name": "Lee", "note": "tea & cake", "custom:3": "😀", "email_type": "Text"}
    made = wire.create(permit(Verb.CREATE, "kim@example.com", [one], fields=fields))
    for act in (
        lambda: memory.update(read(memory), permit(lists=[two], source=OptInSource.CONTACT)),
        lambda: wire.update(read(wire), permit(fields={"first_name": "Kimberley"})),
        lambda: wire.opt_out(read(wire), permit(Verb.OPT_OUT)),
    ):
        assert read(memory) == read(wire)
        assert list(memory.contacts()) == list(wire.contacts())
        assert list(memory.lists()) == list(wire.lists())
        act()
    assert read(memory) == read(wire)
    assert made.remote_id == read(wire).remote_id
    wire.close()


def read(backend: BaseBackend) -> RemoteContact:
    found = backend.find("kim@example.com")
    assert found is not None
    return found


def test_an_account_by_name_is_one_for_the_process() -> None:
    account_named("here").reset()
    first, second = MemoryBackend({"account": "here"}), MemoryBackend({"account": "here"})
    first.create_list("Free")
    assert [one.name for one in second.lists()] == ["Free"]
    assert MemoryBackend({}).account is account_named()


def test_options_of_the_memory_backend_are_checked() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'account'"):
        MemoryBackend({"acount": "x"})
    with pytest.raises(ConfigurationError, match="a name or an account"):
        MemoryBackend({"account": 7})


def test_memory_asks_the_gate_as_the_wires_do() -> None:
    class Shut:
        def acquire(self) -> None:
            raise RateLimited("not now", retry_after=1)

    backend = MemoryBackend({"account": Account()}, gate=Shut())
    for ask in (lambda: backend.find("a@example.com"), lambda: backend.get("1"), lambda: list(backend.lists())):
        with pytest.raises(RateLimited):
            ask()
    backend.close()


def test_a_contact_who_waits_for_confirmation_is_unconfirmed_through_memory() -> None:
    account = Account()
    account.switch({"confirmed_optin": True})
    backend = MemoryBackend({"account": account})
    free: RemoteList = backend.create_list("Free")
    made = backend.create(permit(Verb.CREATE, lists=[free.remote_id], source=OptInSource.CONTACT))
    assert made.status is ContactStatus.UNCONFIRMED
