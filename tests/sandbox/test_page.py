"""The page: what it shows, and what it refuses."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
import requests

from tests.sandbox.caller import Caller


def page(api: Caller) -> str:
    return requests.get(api.running.url + "/", timeout=5).text


def token(api: Caller) -> str:
    found = re.search(r'name="token" value="([^"]+)"', page(api))
    assert found is not None
    return found[1]


def act(api: Caller, headers: dict[str, str] | None = None, **form: str) -> requests.Response:
    form = {"email": "ada@example.com", "token": token(api), **form}
    return requests.post(api.running.url + "/act", data=form, headers=headers, allow_redirects=False, timeout=5)


def test_the_page_shows_people_lists_and_requests(scene: Caller) -> None:
    scene.get("contacts?email=ada%40example.com")
    scene.get("contacts/77")
    text = page(scene)
    for word in ("ada@example.com", "Ada Byron", "Do Not Mail", "Unconfirmed", "Sustainers", "by the owner", "404"):
        assert word in text
    assert "/ws/customers/acme/contacts?email=ada%40example.com" in text


def test_the_page_of_an_empty_account_says_so(api: Caller) -> None:
    api.control("reset", {})
    assert "Nobody is here yet" in page(api)


def test_what_strangers_wrote_is_escaped(api: Caller) -> None:
    evil = '"><script>alert(1)</script>'
    api.control("reset", {"contacts": [{"email": f"{evil}@example.com", "lists": [evil], "first_name": evil}]})
    api.get(f"contacts?{evil}")
    assert "<script" not in page(api)
    assert "&lt;script&gt;" in page(api)


def test_the_page_needs_nothing_from_elsewhere(scene: Caller) -> None:
    answer = requests.get(scene.running.url + "/", timeout=5)
    assert not re.search(r"(?:src|href)=\"(?!/\")", answer.text)
    assert "<script" not in answer.text
    assert not re.search(r"\son[a-z]+=|style=\"", answer.text)
    nonce = re.search(r'nonce="([^"]+)"', answer.text)
    assert nonce is not None
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert f"'nonce-{nonce[1]}'" in policy


@pytest.mark.parametrize(
    ("form", "status", "lists"),
    [
        ({"do": "unsubscribe"}, "Do Not Mail", []),
        ({"do": "leave", "list": "Free members"}, "Removed", []),
        ({"do": "join", "list": "News"}, "Active", ["Free members", "News"]),
        ({"do": "add", "list": "Sustainers"}, "Active", ["Free members", "Sustainers"]),
        ({"do": "remove", "list": "Free members"}, "Removed", []),
        ({"do": "confirm", "email": "una@example.com"}, "Active", ["News"]),
    ],
)
def test_buttons_act(scene: Caller, form: dict[str, str], status: str, lists: list[str]) -> None:
    answer = act(scene, None, **form)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    person = scene.person(form.get("email", "ada@example.com"))
    assert (person["status"], person["lists"]) == (status, lists)


def test_a_refused_act_is_explained_on_the_page(scene: Caller) -> None:
    answer = act(scene, do="add", email="dora@example.com", list="News")
    assert answer.status_code == 409
    assert "has opted out" in answer.text


@pytest.mark.parametrize("wrong", ["", "guess", "é"])
def test_an_act_without_the_token_is_refused(scene: Caller, wrong: str) -> None:
    assert act(scene, do="unsubscribe", token=wrong).status_code == 403
    assert scene.person()["status"] == "Active"


def test_an_act_of_another_kind_is_refused(scene: Caller) -> None:
    assert act(scene, do="delete_list", list="News").status_code == 400
    assert requests.get(scene.running.url + "/act", timeout=5).status_code == 405


@pytest.mark.parametrize("origin", ["http://evil.example.com", "null", "https://127.0.0.1"])
def test_an_act_from_another_site_is_refused_even_with_the_token(scene: Caller, origin: str) -> None:
    assert act(scene, {"Origin": origin}, do="unsubscribe").status_code == 403
    answer = requests.post(scene.running.url + "/_sandbox/reset", data="{}", headers={"Origin": origin}, timeout=5)
    assert answer.status_code == 403
    assert scene.person()["status"] == "Active"


def test_an_act_of_our_own_page_passes(scene: Caller) -> None:
    headers = {"Origin": scene.running.url, "Sec-Fetch-Site": "same-origin"}
    assert act(scene, headers, do="unsubscribe").status_code == 303


@pytest.mark.parametrize("path", ["/", "/_sandbox/state", "/_sandbox/requests"])
@pytest.mark.parametrize("host", ["evil.example.com", "evil.example.com:80", "127.0.0.1.evil.example.com", "", "["])
def test_a_rebound_name_is_refused(scene: Caller, path: str, host: str) -> None:
    answer = requests.get(scene.running.url + path, headers={"Host": host}, timeout=5)
    assert answer.status_code == 403
    assert "ada@" not in answer.text


def test_localhost_is_our_name(scene: Caller) -> None:
    port = urlsplit(scene.running.url).port
    answer = requests.get(scene.running.url + "/", headers={"Host": f"localhost:{port}"}, timeout=5)
    assert answer.status_code == 200
