"""The exact requests of the v3 wire: method, address, headers, body. The § are those of the protocol sheet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import responses

from django_ctct.backends.atom_v1 import AtomBackend
from django_ctct.backends.json_fields import FIELDS
from django_ctct.backends.json_v3 import JSONBackend
from django_ctct.exceptions import RequestRejected
from django_ctct.types import Collection, ContactStatus, OptInSource, RemoteContact, Verb

from .builders import backend as atom
from .builders import permit
from .json_builders import (
    ACTIVITY,
    FREE,
    INCLUDED,
    KIM,
    KIM_URL,
    NEWS,
    OLD3,
    PAID,
    TIER,
    V3,
    activity,
    asked,
    backend,
    contact,
    definitions,
    email,
    listed,
    page,
    read,
    refusal,
    scripted,
    sent,
    uid,
    written,
)


@pytest.fixture(autouse=True)
def wire() -> Iterator[responses.RequestsMock]:
    with scripted() as mock:
        yield mock


def put(wire: responses.RequestsMock, existing: RemoteContact, **more: Any) -> Any:
    wire.upsert("PUT", KIM_URL, json=contact())
    backend().update(existing, permit(**{"lists": [FREE], **more}))
    return sent(wire)


class TestReading:
    def test_find_is_one_request_for_any_status_and_every_part(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{V3}/contacts", json=page(contact(address="Kim+a&B@example.com")))
        found = backend().find(" Kim+A&b@example.com ")
        assert found is not None
        assert (found.remote_id, found.email) == (KIM, "kim+a&b@example.com")
        (call,) = wire.calls
        include = INCLUDED.replace(",", "%2C")
        assert call.request.url == f"{V3}/contacts?email=kim%2Ba%26b%40example.com&status=all&include={include}"
        assert call.request.headers["Authorization"] == "Bearer t0k.en"
        assert call.request.headers["Accept"] == "application/json"
        assert "Content-Type" not in call.request.headers

    def test_get_reads_the_whole_contact(self, wire: responses.RequestsMock) -> None:
        out = {"opt_out_date": "2026-05-01T10:00:00-05:00", "opt_out_source": "Contact"}
        found = read(wire, contact(permission="unsubscribed", opt=out, company_name=None, job_title="  "))
        assert wire.calls[0].request.url == f"{KIM_URL}?include={INCLUDED.replace(',', '%2C')}"
        assert (found.remote_id, found.email, found.status) == (KIM, "kim@example.com", ContactStatus.DO_NOT_MAIL)
        assert found.fields == {"first_name": "Kim", "last_name": "Lee"}
        assert found.opted_out_at == datetime(2026, 5, 1, 15, tzinfo=UTC)
        assert found.opted_out_source is OptInSource.CONTACT
        assert found.updated_at is None

    def test_custom_fields_are_named_once_for_all_contacts(self, wire: responses.RequestsMock) -> None:
        values = [
            {"custom_field_id": TIER, "value": "gold"},
            {"custom_field_id": OLD3, "value": "x"},
            {"custom_field_id": uid(9, "f"), "value": "of a field that is not there"},
            {"custom_field_id": uid(3, "f"), "choice_ids": [1]},
        ]
        wire.get(KIM_URL, json=contact(custom_fields=values))
        wire.get(f"{V3}/contact_custom_fields?limit=100", json=definitions(next="/v3/contact_custom_fields?cursor=b"))
        wire.get(f"{V3}/contact_custom_fields?cursor=b", json=page(collection="custom_fields"))
        reader = backend()
        for _ in range(2):
            found = reader.get(KIM)
            assert found is not None
            custom = {name: value for name, value in found.fields.items() if name.startswith("custom:")}
            assert custom == {"custom:tier": "gold", "custom:3": "x", "custom:custom_field_3": "x"}
        assert [url for _, url in asked(wire)].count(f"{V3}/contact_custom_fields") == 2

    def test_a_field_that_stands_there_twice_is_set_twice(self, wire: responses.RequestsMock) -> None:
        twice = [{"custom_field_id": TIER, "value": "gold"}, {"custom_field_id": TIER, "value": "tin"}]
        wire.get(KIM_URL, json=contact(custom_fields=twice))
        wire.get(f"{V3}/contact_custom_fields?limit=100", json=definitions())
        speaking = backend()
        existing = speaking.get(KIM)
        assert existing is not None
        wire.put(KIM_URL, json=contact())
        speaking.update(existing, permit(email="kim@example.com", lists=[FREE], fields={"custom:tier": "iron"}))
        assert [one["value"] for one in sent(wire)["custom_fields"]] == ["iron", "iron"]

    def test_a_contact_without_own_fields_costs_one_request(self, wire: responses.RequestsMock) -> None:
        read(wire, contact(custom_fields=[{"custom_field_id": TIER, "value": " "}]))
        assert len(wire.calls) == 1

    def test_an_id_of_v1_is_nobodys_here(self, wire: responses.RequestsMock) -> None:
        assert backend().get("4711") is None
        assert backend().get_list("4711") is None
        assert not wire.calls

    def test_a_known_contacts_change_costs_one_reading_and_one_put(self, wire: responses.RequestsMock) -> None:
        put(wire, read(wire), lists=[PAID], fields={"city": "Bonn"})
        assert asked(wire) == [("GET", KIM_URL), ("PUT", KIM_URL)]


class TestUpdate:
    def test_an_update_sends_everything_writable_back(self, wire: responses.RequestsMock) -> None:
        read_only = {"created_at": "x", "updated_at": "x", "create_source": "Account", "update_source": "Account"}
        parts: dict[str, Any] = {
            "phone_numbers": [{"phone_number_id": "p", "phone_number": "1", "kind": "mobile", **read_only}],
            "street_addresses": [{"street_address_id": "s", "kind": "work", "street": "A 1", **read_only}],
            "notes": [{"note_id": "n", "created_at": "x", "content": "called"}],
            "taggings": [uid(1, "2")],
            "birthday_month": 12,
            "birthday_day": 24,
            "anniversary": "2020-02-02",
            "company_name": None,
            "engagement": {"score": 1.10, "rank": 12345678901234567890123},
        }
        body = put(wire, read(wire, contact(**parts)))
        assert body == written(
            phone_numbers=[{"phone_number": "1", "kind": "mobile"}],
            street_addresses=[{"kind": "work", "street": "A 1"}],
            notes=[{"content": "called"}],
            taggings=[uid(1, "2")],
            birthday_month=12,
            birthday_day=24,
            anniversary="2020-02-02",
            company_name=None,
            engagement={"score": 1.10, "rank": 12345678901234567890123},
        )
        raw = wire.calls[-1].request.body
        assert isinstance(raw, bytes)
        assert b'"score":1.1,' in raw.replace(b"1.10", b"1.1")
        request = wire.calls[-1].request
        assert (request.method, request.url) == ("PUT", KIM_URL)
        assert request.headers["Content-Type"] == "application/json"

    def test_the_lists_are_replaced_and_those_that_stay_keep_their_place(self, wire: responses.RequestsMock) -> None:
        existing = read(wire, contact(lists=[NEWS.upper(), FREE]))
        assert put(wire, existing, lists=[PAID, NEWS])["list_memberships"] == [NEWS.upper(), PAID]

    def test_the_last_list_is_left_with_an_empty_array(self, wire: responses.RequestsMock) -> None:
        assert put(wire, read(wire), lists=[]) == written(list_memberships=[])

    def test_on_no_list_before_and_after_the_array_is_left_out(self, wire: responses.RequestsMock) -> None:
        body = put(wire, read(wire, contact(lists=[])), lists=[], fields={"first_name": "Ada"})
        expected = written(first_name="Ada")
        del expected["list_memberships"]
        assert body == expected

    def test_the_address_goes_out_as_it_was_read_unless_it_changes(self, wire: responses.RequestsMock) -> None:
        existing = read(wire, contact(address="Kim@Example.com"))
        assert put(wire, existing)["email_address"]["address"] == "Kim@Example.com"
        assert put(wire, existing, email="new@example.com")["email_address"]["address"] == "new@example.com"

    @pytest.mark.parametrize(
        "permission", ["explicit", "implicit", "not_set", "pending_confirmation", "temp_hold", "unsubscribed"]
    )
    def test_the_permission_goes_back_as_it_was_read(self, wire: responses.RequestsMock, permission: str) -> None:
        body = put(wire, read(wire, contact(permission=permission)), lists=[], fields={"first_name": "Ada"})
        assert body["email_address"]["permission_to_send"] == permission

    @pytest.mark.parametrize("source", list(OptInSource))
    def test_the_source_is_the_permits(self, wire: responses.RequestsMock, source: OptInSource) -> None:
        assert (
            put(wire, read(wire), source=source)["update_source"] == {"site": "Account", "contact": "Contact"}[source]
        )

    def test_the_site_cannot_put_an_opted_out_contact_on_a_list(self, wire: responses.RequestsMock) -> None:
        for lists in ([], [FREE]):
            existing = read(wire, contact(permission="unsubscribed", lists=lists))
            with pytest.raises(RequestRejected) as caught:
                put(wire, existing, lists=[FREE])
            assert (caught.value.code, caught.value.status) == ("do_not_mail", None)
        assert {method for method, _ in asked(wire)} == {"GET"}

    def test_an_opted_out_contact_returns_by_her_own_act(self, wire: responses.RequestsMock) -> None:
        out = {"opt_out_reason": "too many", "opt_out_date": "2026-05-01", "opt_out_source": "Contact"}
        existing = read(wire, contact(permission="unsubscribed", lists=[NEWS], opt=out))
        assert not existing.lists
        body = put(wire, existing, lists=[FREE], source=OptInSource.CONTACT)
        assert body == written(
            email_address={"address": "kim@example.com", "permission_to_send": "explicit"}, update_source="Contact"
        )

    def test_her_own_act_without_a_list_does_not_reopen_her(self, wire: responses.RequestsMock) -> None:
        existing = read(wire, contact(permission="unsubscribed", lists=[], opt={"opt_out_reason": "why"}))
        body = put(wire, existing, lists=[], source=OptInSource.CONTACT)
        assert body["email_address"] == {
            "address": "kim@example.com",
            "permission_to_send": "unsubscribed",
            "opt_out_reason": "why",
        }

    @pytest.mark.parametrize("source", list(OptInSource))
    def test_a_deleted_contact_is_revived_with_a_list_in_the_accounts_name(
        self, wire: responses.RequestsMock, source: OptInSource
    ) -> None:
        existing = read(wire, contact(lists=[], deleted_at="2026-05-01"))
        assert existing.status is ContactStatus.REMOVED
        assert put(wire, existing, source=source) == written()

    def test_a_deleted_contact_who_had_opted_out_is_never_revived_in_the_accounts_name(
        self, wire: responses.RequestsMock
    ) -> None:
        existing = read(wire, contact(permission="unsubscribed", lists=[], deleted_at="2026-05-01"))
        body = put(wire, existing, source=OptInSource.CONTACT)
        assert (body["update_source"], body["email_address"]["permission_to_send"]) == ("Contact", "explicit")

    def test_a_deleted_contact_is_left_alone_without_a_list(self, wire: responses.RequestsMock) -> None:
        existing = read(wire, contact(lists=[], deleted_at="2026-05-01"))
        backend().update(existing, permit())
        with pytest.raises(RequestRejected) as caught:
            backend().update(existing, permit(fields={"city": "Bonn"}))
        assert caught.value.code == "deleted"
        assert len(wire.calls) == 1


class TestFields:
    @pytest.mark.parametrize("name", [*FIELDS, "custom:tier", "custom:3", "custom:custom_field_3"])
    def test_every_field_can_be_set_and_reads_as_it_was_set(self, wire: responses.RequestsMock, name: str) -> None:
        wire.get(f"{V3}/contact_custom_fields", json=definitions())
        body = put(wire, read(wire), fields={name: "Neu"})
        again = read(wire, {**contact(), **body})
        assert again.fields[name] == "Neu"
        assert again.fields.items() >= {"first_name": "Kim", "last_name": "Lee", name: "Neu"}.items()

    def test_the_limits_are_those_of_the_sheet(self) -> None:
        limits = {name: limit.max_length for name, limit in FIELDS.items()}
        assert {name: one for name, one in limits.items() if one != 50} == {
            **dict.fromkeys(("home_phone", "work_phone"), 25),
            **dict.fromkeys(("addr1", "addr2", "addr3"), 84),
        }
        long = {name: "x" * 999 for name in (*FIELDS, "custom:tier")}
        fitted = JSONBackend.fit(long)
        assert {name: len(value) for name, value in fitted.fields.items()} == {**limits, "custom:tier": 255}
        assert set(fitted.problems) == set(long)

    @pytest.mark.parametrize(
        "name", ["note", "email_type", "state_code", "custom:", "custom:a b", "custom:" + "x" * 51]
    )
    def test_what_v3_has_no_place_for_is_not_sent(self, name: str) -> None:
        assert "not a field" in JSONBackend.fit({name: "x"}).problems[name]

    def test_a_custom_field_is_set_by_its_id(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{V3}/contact_custom_fields", json=definitions())
        held = [{"custom_field_id": uid(8, "f"), "value": "y"}, {"custom_field_id": TIER, "value": "old", "odd": 1}]
        body = put(wire, read(wire, contact(custom_fields=held)), fields={"custom:tier": "gold", "custom:3": "z"})
        assert body["custom_fields"] == [
            held[0],
            {"custom_field_id": TIER, "value": "gold", "odd": 1},
            {"custom_field_id": OLD3, "value": "z"},
        ]

    @pytest.mark.parametrize("name", ["custom:nowhere", "custom:4", "custom:size"])
    def test_a_custom_field_that_the_account_lacks_is_left_out_and_named(
        self, wire: responses.RequestsMock, caplog: pytest.LogCaptureFixture, name: str
    ) -> None:
        wire.get(f"{V3}/contact_custom_fields", json=definitions())
        body = put(wire, read(wire), fields={name: "secret", "first_name": "Ada"})
        assert body == written(first_name="Ada")
        assert name in caplog.text
        assert "secret" not in caplog.text

    def test_the_second_telephone_of_a_kind_stays(self, wire: responses.RequestsMock) -> None:
        held = [{"phone_number": one, "kind": kind} for one, kind in (("1", "work"), ("2", "home"), ("3", "home"))]
        body = put(wire, read(wire, contact(phone_numbers=held)), fields={"home_phone": "9"})
        assert body["phone_numbers"] == [held[0], {"phone_number": "9", "kind": "home"}, held[2]]

    def test_three_lines_share_one_street_and_keep_their_places(self, wire: responses.RequestsMock) -> None:
        existing = read(wire, contact(street_addresses=[{"kind": "home", "street": "A 1\r\n\nC", "odd": True}]))
        assert {"addr1": "A 1", "addr3": "C"}.items() <= existing.fields.items()
        assert "addr2" not in existing.fields
        body = put(wire, existing, fields={"addr2": "B", "city": "Bonn"})
        assert body["street_addresses"] == [{"kind": "home", "street": "A 1\nB\nC", "odd": True, "city": "Bonn"}]

    def test_a_street_that_would_be_too_long_is_cut(self, wire: responses.RequestsMock) -> None:
        existing = read(wire, contact(street_addresses=[{"kind": "home", "street": "x" * 250}]))
        body = put(wire, existing, fields={"addr2": "y" * 84})
        assert body["street_addresses"][0]["street"] == "x" * 250 + "\n" + "y" * 4

    def test_her_address_at_work_stays(self, wire: responses.RequestsMock) -> None:
        held = [{"kind": "work", "city": "Köln"}]
        body = put(wire, read(wire, contact(street_addresses=held)), fields={"city": "Bonn"})
        assert body["street_addresses"] == [*held, {"kind": "home", "city": "Bonn"}]


class TestSMS:
    CHANNEL = {
        "sms_channel_id": "s",
        "sms_address": "7815551212",
        "dial_code": "1",
        "country_code": "US",
        "create_source": "Contact",
        "update_source": "Contact",
        "odd": 1,
        "sms_channel_consents": [
            {
                "sms_consent_permission": "unsubscribed",
                "consent_type": "promotional_sms",
                "opt_out_date": "x",
                "odd": 2,
            },
            "odd",
        ],
    }

    def test_a_channel_goes_back_in_the_form_for_writing(self, wire: responses.RequestsMock) -> None:
        assert put(wire, read(wire, contact(sms_channel=self.CHANNEL)))["sms_channel"] == {
            "full_sms_address": "17815551212",
            "odd": 1,
            "sms_channel_consents": [
                {"sms_consent_permission": "unsubscribed", "consent_type": "promotional_sms", "odd": 2},
                "odd",
            ],
        }

    @pytest.mark.parametrize(
        "odd",
        [
            {"dial_code": None},
            {"sms_address": "+17815551212"},
            {"sms_address": "call me"},
            {"sms_channel_consents": None},
        ],
    )
    def test_a_channel_that_cannot_be_turned_for_certain_goes_back_as_read(
        self, wire: responses.RequestsMock, odd: dict[str, Any]
    ) -> None:
        channel = {**self.CHANNEL, **odd}
        assert put(wire, read(wire, contact(sms_channel=channel)))["sms_channel"] == channel

    def test_no_channel_is_no_channel(self, wire: responses.RequestsMock) -> None:
        assert put(wire, read(wire, contact(sms_channel=None)))["sms_channel"] is None


class TestCreate:
    @pytest.mark.parametrize(
        ("source", "word", "permission"),
        [(OptInSource.SITE, "Account", "implicit"), (OptInSource.CONTACT, "Contact", "explicit")],
    )
    def test_a_create_says_whose_act_it_is(
        self, wire: responses.RequestsMock, source: OptInSource, word: str, permission: str
    ) -> None:
        wire.post(f"{V3}/contacts", status=201, json=contact(lists=[PAID, FREE]))
        fields = {"last_name": "Lee", "work_phone": "1", "addr1": "A 1"}
        made = backend().create(permit(Verb.CREATE, lists=[PAID, FREE], fields=fields, source=source))
        assert (made.remote_id, set(made.lists), made.fields) == (KIM, {FREE, PAID}, fields)
        assert made.status is ContactStatus.ACTIVE
        assert sent(wire) == {
            "email_address": {"address": "kim@example.com", "permission_to_send": permission},
            "last_name": "Lee",
            "phone_numbers": [{"kind": "work", "phone_number": "1"}],
            "street_addresses": [{"kind": "home", "street": "A 1"}],
            "list_memberships": [FREE, PAID],
            "create_source": word,
        }

    def test_nobody_is_created_on_no_list(self, wire: responses.RequestsMock) -> None:
        with pytest.raises(RequestRejected, match="on no list"):
            backend().create(permit(Verb.CREATE))
        assert not wire.calls


class TestOptOut:
    @pytest.mark.parametrize(("source", "word"), [(OptInSource.SITE, "Account"), (OptInSource.CONTACT, "Contact")])
    def test_an_opt_out_is_a_put_with_all_else_as_it_was(
        self, wire: responses.RequestsMock, source: OptInSource, word: str
    ) -> None:
        existing = read(wire, contact(permission="explicit"))
        wire.put(KIM_URL, json=contact())
        backend().opt_out(existing, permit(Verb.OPT_OUT, source=source, fields={"first_name": "Ada"}))
        gone = {"address": "kim@example.com", "permission_to_send": "unsubscribed"}
        assert sent(wire) == written(email_address=gone, update_source=word)
        assert asked(wire) == [("GET", KIM_URL), ("PUT", KIM_URL)]

    def test_who_is_on_no_list_goes_without_the_array(self, wire: responses.RequestsMock) -> None:
        existing = read(wire, contact(lists=[]))
        wire.put(KIM_URL, json=contact())
        backend().opt_out(existing, permit(Verb.OPT_OUT))
        assert "list_memberships" not in sent(wire)

    def test_one_who_was_not_read_is_read_first(self, wire: responses.RequestsMock) -> None:
        wire.get(KIM_URL, json=contact())
        wire.put(KIM_URL, json=contact())
        made_up = RemoteContact(KIM, "kim@example.com", ContactStatus.ACTIVE, {})
        backend().opt_out(made_up, permit(Verb.OPT_OUT))
        assert asked(wire) == [("GET", KIM_URL), ("PUT", KIM_URL)]
        assert sent(wire)["email_address"]["permission_to_send"] == "unsubscribed"

    @pytest.mark.parametrize("verb", [Verb.CREATE, Verb.UPDATE])
    def test_only_a_permit_to_opt_out_opts_out(self, wire: responses.RequestsMock, verb: Verb) -> None:
        existing = read(wire)
        with pytest.raises(ValueError, match="not for opt_out"):
            backend().opt_out(existing, permit(verb, lists=[FREE]))
        assert len(wire.calls) == 1


class TestTheLastListByActivity:
    """Where a PUT with no lists is a 400 (§2.5, in doubt)."""

    LEAVE = f"{V3}/activities/remove_list_memberships"
    LOOK = f"{V3}/activities/{ACTIVITY}"

    def test_the_lists_she_had_are_taken_off_and_it_is_watched_to_its_end(self, wire: responses.RequestsMock) -> None:
        existing = read(wire, contact(lists=[PAID, FREE]))
        wire.put(KIM_URL, status=400, json=refusal())
        wire.post(self.LEAVE, status=201, json=activity("initialized"))
        wire.get(self.LOOK, json=activity("processing"))
        wire.get(self.LOOK, json=activity("completed"))
        backend().update(existing, permit())
        assert sent(wire, 2) == {"source": {"contact_ids": [KIM]}, "list_ids": [FREE, PAID]}
        assert asked(wire)[1:] == [("PUT", KIM_URL), ("POST", self.LEAVE), ("GET", self.LOOK), ("GET", self.LOOK)]

    def test_fields_follow_on_a_new_reading_where_they_differ(self, wire: responses.RequestsMock) -> None:
        existing = read(wire)
        wire.put(KIM_URL, status=400, json=refusal())
        wire.put(KIM_URL, json=contact())
        wire.post(self.LEAVE, status=201, json=activity("completed"))
        wire.upsert("GET", KIM_URL, json=contact(lists=[], last_name="Lee-Meier"))
        backend().update(existing, permit(fields={"first_name": "Ada", "last_name": "Lee-Meier"}))
        expected = written(first_name="Ada", last_name="Lee-Meier")
        del expected["list_memberships"]
        assert sent(wire) == expected

    @pytest.mark.parametrize(
        "now",
        [
            contact(lists=[], first_name="Ada"),
            contact(lists=[NEWS]),
            contact(lists=[], permission="unsubscribed"),
            contact(lists=[], deleted_at="2026-05-01"),
            None,
        ],
        ids=["as wished", "on another list", "opted out", "deleted", "gone"],
    )
    def test_fields_do_not_follow_where_they_need_not_or_must_not(
        self, wire: responses.RequestsMock, now: dict[str, Any] | None
    ) -> None:
        existing = read(wire)
        wire.put(KIM_URL, status=400, json=refusal())
        wire.post(self.LEAVE, status=201, json=activity("completed"))
        wire.upsert("GET", KIM_URL, json=now, status=200 if now else 404)
        backend().update(existing, permit(fields={"first_name": "Ada"}))
        assert [method for method, _ in asked(wire)].count("PUT") == 1

    def test_a_400_that_is_not_about_the_lists_starts_nothing(self, wire: responses.RequestsMock) -> None:
        existing = read(wire)
        wire.put(KIM_URL, status=400, json=refusal())
        with pytest.raises(RequestRejected) as caught:
            backend().update(existing, permit(lists=[FREE]))
        assert caught.value.code == "contacts.api.validation.error"
        assert len(wire.calls) == 2


class TestFeeds:
    ASKED = f"{V3}/contacts?status=all&include=list_memberships&limit=500"

    def test_all_contacts_are_asked_for_500_at_a_time_whatever_their_status(self, wire: responses.RequestsMock) -> None:
        wire.get(self.ASKED, json=page(contact(), next="/v3/contacts?cursor=bGltaXQ9MSZuZXh0PTI%3D"))
        rows = [
            contact(uid(3), "Ada@example.com", lists=[]),
            contact(uid(4), "b@example.com", permission="new_word"),
            {"contact_id": uid(5), "sms_channel": {}},
            {"contact_id": uid(6), "email_address": None},
            {"contact_id": uid(7), "email_address": {}},
            contact(uid(8), "c@example.com", first_name=None, last_name="Cyd", deleted_at="2016-07-08", lists=None),
        ]
        wire.get(f"{V3}/contacts?cursor=bGltaXQ9MSZuZXh0PTI%3D", json={"contacts": rows})
        found = list(backend().contacts())
        assert [(one.email, one.status, one.name) for one in found] == [
            ("kim@example.com", ContactStatus.ACTIVE, "Lee, Kim"),
            ("ada@example.com", ContactStatus.REMOVED, "Lee, Kim"),
            ("b@example.com", None, "Lee, Kim"),
            ("c@example.com", ContactStatus.REMOVED, "Cyd"),
        ]
        assert [call.request.url for call in wire.calls] == [self.ASKED, f"{V3}/contacts?cursor=bGltaXQ9MSZuZXh0PTI%3D"]

    ROWS = [
        contact(uid(1), "a@example.com", updated_at="2026-11-22T13:03:04Z"),
        contact(uid(2), "b@example.com", lists=[], updated_at="2026-11-22T13:03:05+00:00"),
        contact(uid(3), "c@example.com", permission="unsubscribed", updated_at="2026-11-22T08:03:05.5-05:00"),
        contact(uid(4), "d@example.com", permission="pending_confirmation", updated_at=None),
        contact(uid(5), "e@example.com", updated_at="2026-11-22T13:03:03Z"),
        contact(uid(6), "f@example.com", lists=[FREE], deleted_at="2026-11-22", updated_at="2026-11-22T13:03:04Z"),
        contact(uid(7), "g@example.com", permission="temp_hold", updated_at="2026-11-23"),
    ]

    @pytest.mark.parametrize(
        ("status", "who"),
        [
            (ContactStatus.ACTIVE, "ag"),
            (ContactStatus.REMOVED, "bf"),
            (ContactStatus.DO_NOT_MAIL, "c"),
            (ContactStatus.UNCONFIRMED, "d"),
        ],
    )
    def test_changes_are_asked_for_a_second_early_and_chosen_here(
        self, wire: responses.RequestsMock, status: ContactStatus, who: str
    ) -> None:
        wire.get(f"{V3}/contacts", json=page(*self.ROWS))
        moment = datetime(2026, 11, 22, 14, 3, 4, 567899, tzinfo=timezone(timedelta(hours=1)))
        assert "".join(one.email[0] for one in backend().changed_since(moment, status=status)) == who
        after = "updated_after=2026-11-22T13%3A03%3A03Z"
        assert wire.calls[0].request.url == f"{V3}/contacts?{after}&status=all&include=list_memberships&limit=500"

    def test_changes_of_a_lists_members(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{V3}/contacts", json=page(*self.ROWS))
        found = backend().changed_since(datetime(2026, 11, 22, 13, 3, 4, tzinfo=UTC), list_id=FREE.upper())
        assert "".join(one.email[0] for one in found) == "adg"
        assert f"/contacts?lists={FREE}&updated_after=" in str(wire.calls[0].request.url)

    def test_exactly_one_of_status_and_list_is_asked_for(self) -> None:
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        for wrong in ({}, {"status": ContactStatus.ACTIVE, "list_id": FREE}):
            with pytest.raises(ValueError, match="exactly one"):
                backend().changed_since(moment, **wrong)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="aware"):
            backend().changed_since(moment.replace(tzinfo=None), list_id=FREE)

    def test_members_are_those_who_get_its_mail(self, wire: responses.RequestsMock) -> None:
        elsewhere = contact(uid(8), "h@example.com", lists=[PAID])
        wire.get(f"{V3}/contacts", json=page(*self.ROWS, elsewhere))
        assert "".join(one.email[0] for one in backend().members(FREE)) == "adeg"
        asked_for = f"{V3}/contacts?lists={FREE}&status=all&include=list_memberships&limit=500"
        assert wire.calls[0].request.url == asked_for


class TestLists:
    def test_lists_are_asked_for_with_their_counts(self, wire: responses.RequestsMock) -> None:
        rows = [
            listed(membership_count=42),
            listed(PAID, " Böard ", membership_count="x"),
            listed(NEWS, "Old", deleted_at="2026-01-01T00:00:00Z"),
        ]
        wire.get(f"{V3}/contact_lists", json=page(*rows, collection="lists"))
        assert [(one.remote_id, one.name, one.members) for one in backend().lists()] == [
            (FREE, "Free", 42),
            (PAID, "Böard", None),
        ]
        asked_for = f"{V3}/contact_lists?status=active&include_membership_count=active&limit=500"
        assert wire.calls[0].request.url == asked_for

    def test_one_list_is_asked_for_with_its_count(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{V3}/contact_lists/{FREE}", json=listed(membership_count=0))
        found = backend().get_list(FREE.upper())
        assert found is not None
        assert (found.remote_id, found.members) == (FREE, 0)
        assert wire.calls[0].request.url == f"{V3}/contact_lists/{FREE}?include_membership_count=active"

    @pytest.mark.parametrize("answer", [{"status": 404}, {"status": 400}, {"json": listed(deleted_at="2026-01-01")}])
    def test_a_list_that_is_not_there_is_none(self, wire: responses.RequestsMock, answer: dict[str, Any]) -> None:
        wire.get(f"{V3}/contact_lists/{FREE}", **answer)
        assert backend().get_list(FREE) is None

    def test_a_list_is_created_with_its_name(self, wire: responses.RequestsMock) -> None:
        wire.post(f"{V3}/contact_lists", status=201, json=listed())
        assert backend().create_list("Free").remote_id == FREE
        assert sent(wire) == {"name": "Free"}

    def test_a_rename_sends_the_list_back_with_another_name(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{V3}/contact_lists/{FREE}", json=listed(odd={"a": None}, membership_count=1))
        wire.put(f"{V3}/contact_lists/{FREE}", json=listed(name="Gratis"))
        backend().rename_list(FREE, "Gratis")
        expected = {"name": "Gratis", "description": "of the site", "favorite": True, "odd": {"a": None}}
        assert sent(wire) == expected

    @pytest.mark.parametrize("status", [202, 204, 404])
    def test_deleting_a_list_is_asked_for_and_twice_is_no_error(
        self, wire: responses.RequestsMock, status: int
    ) -> None:
        wire.delete(f"{V3}/contact_lists/{FREE}", status=status, json=activity("initialized"))
        backend().delete_list(FREE)
        assert asked(wire) == [("DELETE", f"{V3}/contact_lists/{FREE}")]
        assert wire.calls[0].request.body is None


class TestIdsOfV1:
    @pytest.mark.parametrize(
        ("collection", "path", "key"),
        [
            (Collection.CONTACTS, "contacts/contact_id_xrefs", "contact_id"),
            (Collection.LISTS, "contact_lists/list_id_xrefs", "list_id"),
        ],
    )
    def test_the_cross_reference_is_asked_for_numbers_alone(
        self, wire: responses.RequestsMock, collection: Collection, path: str, key: str
    ) -> None:
        rows = [
            {"sequence_id": "0000000007", key: KIM.upper()},
            {"sequence_id": 8, key: uid(3)},
            {"sequence_id": "x", key: uid(4)},
            {"sequence_id": "9"},
        ]
        wire.get(f"{V3}/{path}", json={"xrefs": rows})
        assert backend().new_ids(collection, ["7", "8", KIM, "9", "10"]) == {"7": KIM, "8": uid(3)}
        assert wire.calls[0].request.url == f"{V3}/{path}?sequence_ids=7%2C8%2C9%2C10"

    def test_nothing_to_ask_is_not_asked(self, wire: responses.RequestsMock) -> None:
        assert backend().new_ids(Collection.LISTS, [KIM]) == {}
        assert not wire.calls

    def test_when_it_is_taken_away_it_knows_none(self, wire: responses.RequestsMock) -> None:
        wire.get(f"{V3}/contacts/contact_id_xrefs", status=404)
        assert backend().new_ids(Collection.CONTACTS, ["7"]) == {}

    def test_each_wire_knows_its_own_ids(self) -> None:
        assert [JSONBackend.is_own_id(one) for one in (KIM, "7", "")] == [True, False, False]
        assert [AtomBackend.is_own_id(one) for one in (KIM, "7", "")] == [False, True, False]
        assert atom().new_ids(Collection.CONTACTS, ["7"]) == {}


def test_the_permission_of_an_email_without_one_is_not_guessed(wire: responses.RequestsMock) -> None:
    wire.get(KIM_URL, json=contact() | {"email_address": email(permission=None)})
    with pytest.raises(Exception, match="permission"):
        backend().get(KIM)
