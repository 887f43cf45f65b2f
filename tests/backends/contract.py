"""What every backend does, word for word: subclass it with a ``backend`` and run it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta

import pytest

from django_ctct.backends.base import BaseBackend
from django_ctct.exceptions import RemoteConflict, RequestRejected
from django_ctct.types import ContactStatus, OptInSource, RemoteContact, RemoteList, Verb

from .builders import permit


class BackendContract:
    """Behaviours of ``BaseBackend``. The subclass gives the fixture ``backend``, and says where its wire differs.

    Each attribute is a row of docs/wires.md.
    """

    #: Kim's fields: as long and as odd as the wire takes them.
    fields_of_kim: dict[str, str] = {
        "first_name": "Kim 😀",
        "last_name": "Lee & <Söhne>",
        "note": "n" * 500,
        "custom:15": "tier",
    }
    #: An id that can be, and that nothing has.
    nothing = "999"
    #: Whether a contact tells how she came onto each list, and when she last changed.
    tells_subscriptions = True
    tells_changes = True
    #: Whether the changes of contacts who wait for confirmation can be asked for.
    finds_unconfirmed = False
    #: Whether collections have an order: contacts the newest first, lists the oldest first.
    ordered = True
    #: What a create with a list that is not there is refused with.
    unknown_list = "no_valid_list"
    #: Whether asking for the members of a list that is not there is an error.
    refuses_members_of_nothing = True
    #: Whether a create that is refused says whose the address is.
    tells_whose_address = False

    @pytest.fixture
    def lists(self, backend: BaseBackend) -> list[RemoteList]:
        return [backend.create_list(name) for name in ("Free members", "Sustainers", "Böard & friends")]

    @pytest.fixture
    def kim(self, backend: BaseBackend, lists: list[RemoteList]) -> RemoteContact:
        made = permit(Verb.CREATE, "kim+a@example.com", [lists[0].remote_id], fields=self.fields_of_kim)
        return self.read(backend, backend.create(made).remote_id)

    def read(self, backend: BaseBackend, remote_id: str) -> RemoteContact:
        found = backend.get(remote_id)
        assert found is not None
        return found

    def test_a_contact_that_was_created_is_found_by_address_and_by_id(
        self, backend: BaseBackend, kim: RemoteContact, lists: list[RemoteList]
    ) -> None:
        found = backend.find("KIM+a@example.com")
        assert found == kim
        assert (kim.email, kim.status, set(kim.lists)) == (
            "kim+a@example.com",
            ContactStatus.ACTIVE,
            {lists[0].remote_id},
        )
        assert kim.fields.items() >= self.fields_of_kim.items()
        (subscription,) = kim.lists.values()
        assert subscription.source is (OptInSource.SITE if self.tells_subscriptions else None)
        assert (kim.updated_at is not None) is self.tells_changes

    def test_nobody_is_none(self, backend: BaseBackend) -> None:
        assert backend.find("nobody@example.com") is None
        for nobody in {"999", self.nothing}:
            assert backend.get(nobody) is None

    def test_an_address_is_created_once(
        self, backend: BaseBackend, kim: RemoteContact, lists: list[RemoteList]
    ) -> None:
        with pytest.raises(RemoteConflict) as caught:
            backend.create(permit(Verb.CREATE, kim.email, [lists[1].remote_id]))
        assert caught.value.remote_id == (kim.remote_id if self.tells_whose_address else "")
        assert not self.tells_whose_address or kim.remote_id not in str(caught.value)
        assert self.read(backend, kim.remote_id) == kim

    def test_nobody_is_created_on_no_list_or_on_one_that_is_not_there(self, backend: BaseBackend) -> None:
        for wanted, code in (([], "no_valid_list"), ([self.nothing], self.unknown_list)):
            with pytest.raises(RequestRejected) as caught:
                backend.create(permit(Verb.CREATE, "new@example.com", wanted))
            assert caught.value.code == code
        assert backend.find("new@example.com") is None

    def test_an_update_sets_the_lists_and_keeps_all_else(
        self, backend: BaseBackend, kim: RemoteContact, lists: list[RemoteList]
    ) -> None:
        wanted = {one.remote_id for one in lists[1:]}
        backend.update(kim, permit(email=kim.email, lists=wanted, fields={"city": "Bonn"}))
        after = self.read(backend, kim.remote_id)
        assert set(after.lists) == wanted
        assert after.fields == {**kim.fields, "city": "Bonn"}

    def test_a_kept_list_keeps_its_source_and_time(
        self, backend: BaseBackend, kim: RemoteContact, lists: list[RemoteList]
    ) -> None:
        both = [lists[0].remote_id, lists[1].remote_id]
        backend.update(kim, permit(email=kim.email, lists=both, source=OptInSource.CONTACT))
        after = self.read(backend, kim.remote_id)
        assert after.lists[both[0]] == kim.lists[both[0]]
        assert after.lists[both[1]].source is (OptInSource.CONTACT if self.tells_subscriptions else None)

    def test_leaving_the_last_list_is_removed_and_she_may_return(
        self, backend: BaseBackend, kim: RemoteContact, lists: list[RemoteList]
    ) -> None:
        backend.update(kim, permit(email=kim.email))
        gone = self.read(backend, kim.remote_id)
        assert (gone.status, dict(gone.lists), gone.fields) == (ContactStatus.REMOVED, {}, kim.fields)
        backend.update(gone, permit(email=kim.email, lists=[lists[1].remote_id]))
        assert self.read(backend, kim.remote_id).status is ContactStatus.ACTIVE

    def test_an_address_can_change(self, backend: BaseBackend, kim: RemoteContact, lists: list[RemoteList]) -> None:
        backend.update(kim, permit(email="lee@example.com", lists=[lists[0].remote_id]))
        after = backend.find("lee@example.com")
        assert after is not None
        assert after.remote_id == kim.remote_id
        assert backend.find(kim.email) is None

    def test_an_address_cannot_change_onto_somebody_elses(
        self, backend: BaseBackend, kim: RemoteContact, lists: list[RemoteList]
    ) -> None:
        backend.create(permit(Verb.CREATE, "ada@example.com", [lists[0].remote_id]))
        with pytest.raises(RemoteConflict):
            backend.update(kim, permit(email="ada@example.com", lists=[lists[0].remote_id]))

    def test_an_opt_out_holds_against_the_site_and_yields_to_the_contact(
        self, backend: BaseBackend, kim: RemoteContact, lists: list[RemoteList]
    ) -> None:
        backend.opt_out(kim, permit(Verb.OPT_OUT, kim.email))
        out = self.read(backend, kim.remote_id)
        assert (out.status, dict(out.lists)) == (ContactStatus.DO_NOT_MAIL, {})
        assert out.opted_out_at is not None
        with pytest.raises(RequestRejected) as caught:
            backend.update(out, permit(email=kim.email, lists=[lists[0].remote_id]))
        assert caught.value.code == "do_not_mail"
        with pytest.raises(RemoteConflict):
            backend.create(permit(Verb.CREATE, kim.email, [lists[0].remote_id]))
        assert self.read(backend, kim.remote_id) == out
        backend.update(out, permit(email=kim.email, lists=[lists[0].remote_id], source=OptInSource.CONTACT))
        assert self.read(backend, kim.remote_id).status is ContactStatus.ACTIVE

    def test_opting_out_twice_is_no_error(self, backend: BaseBackend, kim: RemoteContact) -> None:
        for _ in range(2):
            backend.opt_out(kim, permit(Verb.OPT_OUT, kim.email))

    def test_opting_out_somebody_who_is_not_there_is_a_conflict(self, backend: BaseBackend) -> None:
        nobody = RemoteContact(self.nothing, "no@example.com", ContactStatus.ACTIVE, {})
        with pytest.raises(RemoteConflict):
            backend.opt_out(nobody, permit(Verb.OPT_OUT, "no@example.com"))

    def test_what_was_not_read_is_not_written(self, backend: BaseBackend, kim: RemoteContact) -> None:
        made_up = RemoteContact(kim.remote_id, kim.email, kim.status, kim.lists)
        with pytest.raises(RemoteConflict) as caught:
            backend.update(made_up, permit(email=kim.email))
        assert caught.value.code == "not_read"

    @pytest.mark.parametrize("verb", list(Verb))
    def test_a_permit_serves_its_own_verb_only(
        self, backend: BaseBackend, kim: RemoteContact, lists: list[RemoteList], verb: Verb
    ) -> None:
        this = permit(verb, kim.email, [lists[1].remote_id])
        if verb is not Verb.CREATE:
            with pytest.raises(ValueError, match="permit"):
                backend.create(this)
        if verb is not Verb.UPDATE:
            with pytest.raises(ValueError, match="permit"):
                backend.update(kim, this)
        if verb is not Verb.OPT_OUT:
            with pytest.raises(ValueError, match="permit"):
                backend.opt_out(kim, this)
        assert self.read(backend, kim.remote_id) == kim

    def test_a_value_that_is_too_long_is_cut_and_a_wrong_code_left_out(
        self, backend: BaseBackend, kim: RemoteContact
    ) -> None:
        fields = {"first_name": "x" * 99, "country_code": "Germany", "unheard_of": "x"}
        backend.update(kim, permit(email=kim.email, lists=kim.lists, fields=fields))
        assert self.read(backend, kim.remote_id).fields == {**kim.fields, "first_name": "x" * 50}

    @pytest.mark.parametrize("email", ["", "kim", "k" * 80 + "@example.com", "a b@example.com", "a\n@example.com"])
    def test_an_address_that_cannot_be_is_not_sent(
        self, backend: BaseBackend, lists: list[RemoteList], email: str
    ) -> None:
        with pytest.raises(RequestRejected) as caught:
            backend.create(permit(Verb.CREATE, email, [lists[0].remote_id]))
        assert caught.value.code == "bad_address"

    def test_changes_are_found_by_status_and_by_list(
        self, backend: BaseBackend, kim: RemoteContact, lists: list[RemoteList]
    ) -> None:
        ada = backend.create(permit(Verb.CREATE, "ada@example.com", [lists[1].remote_id]))
        bob = backend.create(permit(Verb.CREATE, "bob@example.com", [lists[1].remote_id]))
        cyd = backend.create(permit(Verb.CREATE, "cyd@example.com", [lists[1].remote_id]))
        backend.update(self.read(backend, ada.remote_id), permit(email="ada@example.com"))
        backend.opt_out(bob, permit(Verb.OPT_OUT, "bob@example.com"))
        before = kim.updated_at or datetime.now(UTC) - timedelta(minutes=1)
        for status, who in (
            (ContactStatus.ACTIVE, {kim.remote_id, cyd.remote_id}),
            (ContactStatus.REMOVED, {ada.remote_id}),
            (ContactStatus.DO_NOT_MAIL, {bob.remote_id}),
        ):
            assert {one.remote_id for one in backend.changed_since(before, status=status)} == who
        on_list = backend.changed_since(before, list_id=lists[1].remote_id)
        assert [one.email for one in on_list] == ["cyd@example.com"]
        later = datetime.now(UTC) + timedelta(hours=1)
        assert not list(backend.changed_since(later, status=ContactStatus.ACTIVE))

    def test_changes_are_asked_for_by_one_thing(self, backend: BaseBackend) -> None:
        with pytest.raises(ValueError, match="exactly one"):
            backend.changed_since(datetime.now(UTC))
        with nullcontext() if self.finds_unconfirmed else refused():
            assert not list(backend.changed_since(datetime.now(UTC), status=ContactStatus.UNCONFIRMED))

    def test_all_contacts_come_page_after_page_newest_first(
        self, backend: BaseBackend, lists: list[RemoteList]
    ) -> None:
        for n in range(52):
            backend.create(permit(Verb.CREATE, f"p{n:02}@example.com", [lists[0].remote_id]))
        found = [one.email for one in backend.contacts()]
        newest_first = [f"p{n:02}@example.com" for n in reversed(range(52))]
        assert found == newest_first if self.ordered else sorted(found) == sorted(newest_first)
        assert sorted(one.email for one in backend.members(lists[0].remote_id)) == sorted(found)
        assert not list(backend.members(lists[1].remote_id))

    def test_lists_are_the_accounts_own(self, backend: BaseBackend, lists: list[RemoteList]) -> None:
        found = [(one.remote_id, one.name) for one in backend.lists()]
        made = [(one.remote_id, one.name) for one in lists]
        assert found == made if self.ordered else sorted(found) == sorted(made)
        read = backend.get_list(lists[2].remote_id)
        assert read is not None
        assert (read.name, read.members) == ("Böard & friends", 0)
        for nothing in {"999", self.nothing}:
            assert backend.get_list(nothing) is None

    def test_a_list_can_be_renamed_and_its_name_is_its_own(self, backend: BaseBackend, lists: list[RemoteList]) -> None:
        backend.rename_list(lists[0].remote_id, "Gratis")
        read = backend.get_list(lists[0].remote_id)
        assert read is not None
        assert read.name == "Gratis"
        for act in (
            lambda: backend.create_list("Gratis"),
            lambda: backend.rename_list(lists[1].remote_id, "Gratis"),
            lambda: backend.rename_list(self.nothing, "New"),
        ):
            with pytest.raises(RemoteConflict):
                act()

    @pytest.mark.parametrize("name", ["", " ", "n" * 256])
    def test_a_name_that_no_list_can_have_is_refused(
        self, backend: BaseBackend, lists: list[RemoteList], name: str
    ) -> None:
        with pytest.raises(RequestRejected):
            backend.create_list(name)
        with pytest.raises(RequestRejected):
            backend.rename_list(lists[0].remote_id, name)

    def test_a_deleted_list_leaves_its_members_contacts(
        self, backend: BaseBackend, kim: RemoteContact, lists: list[RemoteList]
    ) -> None:
        for _ in range(2):
            backend.delete_list(lists[0].remote_id)
        assert backend.get_list(lists[0].remote_id) is None
        assert self.read(backend, kim.remote_id).status is ContactStatus.REMOVED
        with refused() if self.refuses_members_of_nothing else nullcontext():
            assert not list(backend.members(lists[0].remote_id))

    def test_an_id_that_cannot_be_is_refused(self, backend: BaseBackend) -> None:
        for ask in (backend.get, backend.get_list, backend.delete_list, backend.members):
            with pytest.raises(RequestRejected) as caught:
                ask("../1")
            assert caught.value.code == "bad_id"


def refused() -> AbstractContextManager[object]:
    return pytest.raises(RequestRejected)
