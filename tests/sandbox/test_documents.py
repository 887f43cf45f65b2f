"""The documents against the order of elements of the v1 sheet (§3.1, §3.5, §3.6, §4) and of v1's own answers."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from tests.sandbox.caller import ATOM, CONTACT, CTCT, HOST, Caller, a_list, contact, entry, names

FIELDS = [
    *["Status", "EmailAddress", "EmailType", "Name", "FirstName", "MiddleName", "LastName", "JobTitle"],
    *["CompanyName", "HomePhone", "WorkPhone", "Addr1", "Addr2", "Addr3", "City", "StateCode", "StateName"],
    *["CountryCode", "CountryName", "PostalCode", "SubPostalCode", "Note"],
    *[f"CustomField{number}" for number in range(1, 16)],
    "ContactLists",
]
TAIL = ["Confirmed", "InsertTime", "LastUpdateTime"]
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

# The order of elements and the namespaces (a: Atom, c: Constant Contact's) of v1's answers as they were captured, or
# printed in its docs, from 2008 to 2010. What stands in brackets are attributes, in parentheses the elements within.
_PREFIXES = {ATOM: "a:", CTCT: "c:"}
_AUTHOR = "a:author(a:name)"
_HEAD = f"a:link[href rel=edit] a:id a:title[type=text] a:updated {_AUTHOR}"
_CONTENT = "a:content[type=application/vnd.ctct+xml]"
_OWN_LINKS = "a:link[href] a:link[href rel=self]"
_SOURCE = f"a:source(a:id a:title[type=text] {_OWN_LINKS} {_AUTHOR} a:updated)"
_FEED = f"a:id a:title[type=text] {_OWN_LINKS} {_AUTHOR} a:updated"
_PAGES = "a:link[href rel=first] a:link[href rel=current]"
_DETAILS = " ".join(f"c:{name}" for name in FIELDS[:-1])
_MEMBERSHIP = "c:ContactList[id](a:link[href rel=self] c:OptInSource c:OptInTime)"
_CONTACT = f"c:Contact[id]({_DETAILS} c:ContactLists({_MEMBERSHIP}) c:Confirmed c:InsertTime c:LastUpdateTime)"
_SUMMARY = "c:Contact[id](c:Status c:EmailAddress c:EmailType c:Name c:OptInTime c:OptInSource)"
_SYSTEM_LIST = "c:ContactList[id](c:Name c:ShortName)"
_LIST = "c:ContactList[id](c:OptInDefault c:Name c:ShortName c:DisplayOnSignup c:SortOrder c:Members[id])"
_COUNTED_LIST = f"{_LIST[:-1]} c:ContactCount)"
_NEW_LIST = "c:ContactList[id](c:OptInDefault c:Name c:SortOrder c:ShortName)"


def _entries(*payloads: str) -> str:
    return " ".join(f"a:entry({_HEAD} {_CONTENT}({one}))" for one in payloads)


CAPTURED = {
    "a contact on one list": f"a:entry({_HEAD} {_CONTENT}({_CONTACT}) {_SOURCE})",
    "a page of contacts": f"a:feed({_FEED} a:link[href rel=next] {_PAGES} {_entries(_SUMMARY, _SUMMARY)})",
    "all lists": f"a:feed({_FEED} {_PAGES} {_entries(*[_SYSTEM_LIST] * 3, _LIST, _LIST)})",
    "a list that was made": f"a:entry(a:id a:title[type=text] a:author a:updated {_CONTENT}({_NEW_LIST})"
    " a:link[href rel=edit])",
}


def shape(element: ET.Element) -> str:
    """Write an element as its name, attributes and children; texts, ids and addresses are left out."""
    space, _, local = element.tag.rpartition("}")
    told = [f"{name}={value}" if name in ("rel", "type") else name for name, value in sorted(element.items())]
    attributes = f"[{' '.join(told)}]" if told else ""
    children = f"({' '.join(map(shape, element))})" if len(element) else ""
    return f"{_PREFIXES[space + '}']}{local}{attributes}{children}"


def test_a_contact_has_the_shape_that_was_captured(scene: Caller) -> None:
    assert shape(scene.tree("contacts/1")) == CAPTURED["a contact on one list"]


def test_a_page_of_contacts_has_the_shape_that_was_captured(scene: Caller) -> None:
    scene.switch(page_size=2)
    assert shape(scene.tree("contacts")) == CAPTURED["a page of contacts"]


def test_the_lists_have_the_shape_that_was_captured_before_and_since_they_are_counted(api: Caller) -> None:
    api.control("reset", {"lists": ["General Interest", "Clients"]})
    api.switch(contact_count=False)
    assert shape(api.tree("lists")) == CAPTURED["all lists"]
    api.switch(contact_count=True)
    assert shape(api.tree("lists")) == CAPTURED["all lists"].replace(_LIST, _COUNTED_LIST)


def test_a_list_that_was_made_has_the_shape_that_was_captured(api: Caller) -> None:
    answer = api.send("POST", "lists", entry(a_list("Gala", SortOrder="7")))
    assert shape(ET.fromstring(answer.content)) == CAPTURED["a list that was made"]


def test_the_declaration_has_single_quotes(scene: Caller) -> None:
    for path in ("contacts", "contacts/1", "lists", "lists/1", "lists/1/members", ""):
        assert scene.get(path).text.startswith("<?xml version='1.0' encoding='UTF-8'?>\n")


def test_an_entry_has_every_field_in_order(scene: Caller) -> None:
    root = scene.tree("contacts/1")
    assert names(root) == ["link", "id", "title", "updated", "author", "content", "source"]
    payload = root.find(f"{ATOM}content/{CTCT}Contact")
    assert payload is not None
    assert names(payload) == FIELDS + TAIL
    assert payload.get("id") == f"{HOST}/ws/customers/acme/contacts/1" == root.findtext(f"{ATOM}id")
    assert root.findtext(f"{ATOM}updated") == payload.findtext(f"{CTCT}LastUpdateTime")
    assert "<MiddleName></MiddleName>" in scene.get("contacts/1").text


def test_an_entry_names_the_lists_with_source_before_time(scene: Caller) -> None:
    lists = scene.tree("contacts/1").findall(f".//{CTCT}ContactLists/{CTCT}ContactList")
    assert [names(each) for each in lists] == [["link", "OptInSource", "OptInTime"]]
    assert lists[0].get("id") == f"{HOST}/ws/customers/acme/lists/1"
    link = lists[0].find(f"{ATOM}link")
    assert link is not None
    assert (link.get("href"), link.get("rel")) == ("/ws/customers/acme/lists/1", "self")


def test_an_entry_on_no_list_has_an_empty_element(scene: Caller) -> None:
    assert "<ContactLists></ContactLists>" in scene.get("contacts/2").text


def test_the_opt_out_stands_between_lists_and_confirmed(scene: Caller) -> None:
    payload = scene.tree("contacts/3").find(f"{ATOM}content/{CTCT}Contact")
    assert payload is not None
    assert names(payload) == [*FIELDS, "OptOutTime", "OptOutSource", "OptOutReason", *TAIL]
    assert payload.findtext(f"{CTCT}OptOutSource") == CONTACT


def test_the_source_of_an_entry_is_the_collection(scene: Caller) -> None:
    source = scene.tree("contacts/1").find(f"{ATOM}source")
    assert source is not None
    assert names(source) == ["id", "title", "link", "link", "author", "updated"]
    assert source.findtext(f"{ATOM}title") == "Contacts for Customer: acme"


def test_a_feed_has_its_parts_in_order_with_next_before_first(scene: Caller) -> None:
    head = ["id", "title", "link", "link", "author", "updated"]
    assert names(scene.tree("contacts")) == [*head, "link", "link", *["entry"] * 4]
    scene.switch(page_size=3)
    feed = scene.tree("contacts")
    assert [each.get("rel") for each in feed.findall(f"{ATOM}link")] == [None, "self", "next", "first", "current"]
    assert [each.get("href") for each in feed.findall(f"{ATOM}link")][:2] == ["contacts", "contacts"]


def test_a_summary_has_the_time_before_the_source_and_no_lists(scene: Caller) -> None:
    order = ["Status", "EmailAddress", "EmailType", "Name", "OptInTime", "OptInSource"]
    for payload in scene.tree("contacts").iter(f"{CTCT}Contact"):
        assert names(payload) == order
    (found,) = scene.tree("contacts?email=ada%40example.com").iter(f"{CTCT}Contact")
    assert names(found) == [*order, "Confirmed", "InsertTime"]


def test_a_name_is_sorted_in_feeds_and_plain_in_entries(scene: Caller) -> None:
    feed_names = [each.findtext(f"{CTCT}Name") for each in scene.tree("contacts").iter(f"{CTCT}Contact")]
    assert feed_names == ["", "Dora", "", "Byron, Ada"]
    assert scene.tree("contacts/1").findtext(f".//{CTCT}Name") == "Ada Byron"


def test_times_have_three_decimals(scene: Caller) -> None:
    for path in ("contacts", "contacts/1", "lists"):
        times = re.findall(r">(\d{4}-\d\d-\d\dT[^<]*)<", scene.get(path).text)
        assert times
        assert all(STAMP.fullmatch(time) for time in times)


def test_created_contacts_come_back_whole_with_their_location(api: Caller) -> None:
    answer = api.post(address="Kim@Example.com", FirstName="Kim", Note="a & b <c>")
    assert answer.headers["Location"] == f"{HOST}/ws/customers/acme/contacts/1"
    assert answer.headers["Content-Type"] == "application/atom+xml;type=entry"
    payload = ET.fromstring(answer.content).find(f"{ATOM}content/{CTCT}Contact")
    assert payload is not None
    assert names(payload) == FIELDS + TAIL
    assert payload.findtext(f"{CTCT}EmailAddress") == "kim@example.com"
    assert payload.findtext(f"{CTCT}EmailType") == "HTML"
    assert payload.findtext(f"{CTCT}Note") == "a & b <c>"


def test_the_server_names_states_and_countries(api: Caller) -> None:
    api.post(StateCode="MA", CountryCode="us")
    root = api.tree("contacts/1")
    assert root.findtext(f".//{CTCT}StateName") == "Massachusetts"
    assert root.findtext(f".//{CTCT}CountryName") == "United States"


def test_system_lists_come_first_and_are_bare(api: Caller) -> None:
    lists = list(api.tree("lists").iter(f"{CTCT}ContactList"))
    assert [each.findtext(f"{CTCT}Name") for each in lists[:3]] == ["Active", "Do Not Mail", "Removed"]
    assert [names(each) for each in lists[:3]] == [["Name", "ShortName"]] * 3
    ordinary = ["OptInDefault", "Name", "ShortName", "DisplayOnSignup", "SortOrder", "Members", "ContactCount"]
    assert [names(each) for each in lists[3:]] == [ordinary] * 3
    assert [(each.get("id") or "").rpartition("/")[2] for each in lists[3:]] == ["1", "2", "3"]
    assert "source" not in names(api.tree("lists"))


def test_a_list_counts_its_contacts(scene: Caller) -> None:
    assert scene.tree("lists/1").findtext(f".//{CTCT}ContactCount") == "1"
    assert scene.tree("lists/2").findtext(f".//{CTCT}ContactCount") == "0"
    assert names(scene.tree("lists/1"))[-1] == "source"
    assert names(scene.tree("lists/active"))[-1] == "source"


def test_a_created_list_looks_as_captured(api: Caller) -> None:
    answer = api.send("POST", "lists", entry(a_list("Gala", SortOrder="7")))
    assert answer.status_code == 201
    assert answer.text.startswith("<entry ")
    root = ET.fromstring(answer.content)
    assert names(root) == ["id", "title", "author", "updated", "content", "link"]
    payload = root.find(f"{ATOM}content/{CTCT}ContactList")
    assert payload is not None
    assert names(payload) == ["OptInDefault", "Name", "SortOrder", "ShortName"]
    assert answer.headers["Location"].endswith("/lists/4")


def test_the_service_document_names_the_collections(api: Caller) -> None:
    answer = api.get("")
    assert answer.headers["Content-Type"] == "application/atomsvc+xml"
    collections = ET.fromstring(answer.content).iter("{http://www.w3.org/2007/app}collection")
    assert [(each.get("href") or "").rpartition("/")[2] for each in collections] == ["lists", "activities"]


@pytest.mark.parametrize("text", ["line\none", "tab\there", "ümläut", "😀", "]]>", '"quoted"', "cr\rhere"])
def test_texts_come_back_as_they_were_sent(api: Caller, text: str) -> None:
    body = entry(contact(Note="@@")).replace("@@", text.replace("\r", "&#13;").replace("]]>", "]]&gt;"))
    assert api.send("POST", "contacts", body).status_code == 201
    assert api.tree("contacts/1").findtext(f".//{CTCT}Note") == text
