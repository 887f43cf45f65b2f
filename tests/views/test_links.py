"""A link says whom it is about to the site alone, and does what it was made for and nothing else."""

from __future__ import annotations

import base64
import email
import email.policy
import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.mail import EmailMessage, EmailMultiAlternatives

from django_ctct import links, vault
from django_ctct.links import BadLink, Purpose, SignedLink, preferences_url, unsubscribe_headers, unsubscribe_url

from .scene import ADA, account, now

pytestmark = pytest.mark.django_db
ROOT = "https://example.org"


def token_of(url: str) -> str:
    return url.rstrip("/").rpartition("/")[2]


def test_a_link_says_what_it_was_made_for() -> None:
    link = links.read(token_of(unsubscribe_url(" Ada@Example.com ", "newsletter")), Purpose.UNSUBSCRIBE)
    assert (link.address, link.key, link.account) == (ADA, "newsletter", "default")
    link = links.read(token_of(preferences_url(ADA)), Purpose.PREFERENCES)
    assert (link.address, link.key) == (ADA, links.EVERYTHING)
    assert timedelta(0) <= now() - link.issued < timedelta(minutes=1)


def test_nobody_can_read_the_address_in_it() -> None:
    for url in (preferences_url(ADA), unsubscribe_url(ADA, "newsletter")):
        token = token_of(url)
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        for word in (b"ada", b"example", b"newsletter"):
            assert word not in token.lower().encode()
            assert word not in raw
    assert preferences_url(ADA) != preferences_url(ADA), "two letters to one person cannot be told to be that"


def test_its_repr_names_nobody() -> None:
    link = links.read(token_of(unsubscribe_url(ADA)), Purpose.UNSUBSCRIBE)
    assert "ada" not in repr(link)


@pytest.mark.parametrize(("address", "hint"), [(ADA, "a***@example.com"), ("x@example.com", "x***@example.com")])
def test_the_hint_tells_the_owner_which_address_it_is_and_not_much_more(address: str, hint: str) -> None:
    assert links.read(token_of(unsubscribe_url(address)), Purpose.UNSUBSCRIBE).hint == hint


def test_a_changed_link_does_not_work_wherever_it_was_changed() -> None:
    token = token_of(unsubscribe_url(ADA, "newsletter"))
    # The last sign of a token may carry bits that count for nothing.
    for place in range(len(token) - 1):
        other = "A" if token[place] != "A" else "B"
        with pytest.raises(BadLink):
            links.read(token[:place] + other + token[place + 1 :], Purpose.UNSUBSCRIBE)


@pytest.mark.parametrize("token", ["", "x", "…", "\ud800", "gAAAAA", "A" * 5000, "0" * 160, "é" * 100])
def test_nonsense_is_a_bad_link_and_nothing_worse(token: str) -> None:
    for purpose in Purpose:
        with pytest.raises(BadLink):
            links.read(token, purpose)


def test_a_link_for_one_page_is_none_for_the_other() -> None:
    with pytest.raises(BadLink):
        links.read(token_of(unsubscribe_url(ADA)), Purpose.PREFERENCES)
    with pytest.raises(BadLink):
        links.read(token_of(preferences_url(ADA)), Purpose.UNSUBSCRIBE)


@pytest.mark.parametrize(
    "secret",
    [
        "a token of Constant Contact",
        '{"access_token": "x"}',
        '["ctct-link-0","unsubscribe","default","",1,1,"ada@example.com"]',
        '["unsubscribe","default","",1,1,"ada@example.com"]',
        '["ctct-link-1","admin","default","",1,1,"ada@example.com"]',
        '["ctct-link-1","unsubscribe","default","","soon",1,"ada@example.com"]',
        "7",
    ],
)
def test_another_secret_under_the_same_key_is_no_link(secret: str) -> None:
    with pytest.raises(BadLink):
        links.read(vault.seal(secret).rstrip("="), Purpose.UNSUBSCRIBE)


def test_a_link_of_an_account_that_is_gone_does_not_work() -> None:
    gone = links.seal(SignedLink(Purpose.UNSUBSCRIBE, "gone", ADA, now(), now()))
    with pytest.raises(BadLink):
        links.read(gone, Purpose.UNSUBSCRIBE)


def test_a_preference_link_ends_and_an_unsubscribe_link_does_not() -> None:
    def made(purpose: Purpose, age: timedelta) -> str:
        return links.seal(SignedLink(purpose, "default", ADA, issued=now(), born=now() - age))

    day = timedelta(days=1)
    assert links.read(made(Purpose.PREFERENCES, links.LIFETIME - day), Purpose.PREFERENCES)
    with pytest.raises(BadLink):
        links.read(made(Purpose.PREFERENCES, links.LIFETIME + day), Purpose.PREFERENCES)
    assert links.read(made(Purpose.UNSUBSCRIBE, 3000 * day), Purpose.UNSUBSCRIBE)


def test_links_outlive_a_change_of_the_key_and_end_with_the_old_one(settings: Any) -> None:
    token = token_of(unsubscribe_url(ADA))
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", [settings.SECRET_KEY]
    assert links.read(token, Purpose.UNSUBSCRIBE).address == ADA
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(BadLink):
        links.read(token, Purpose.UNSUBSCRIBE)


@pytest.mark.parametrize("address", ["", "nobody", "@example.com", "ada@", "a" * 250 + "@example.com"])
def test_what_cannot_be_an_address_gets_no_link_and_is_not_repeated(address: str) -> None:
    for make in (preferences_url, unsubscribe_url):
        with pytest.raises(ValueError, match="There is no link for what cannot be") as wrong:
            make(address)
        assert address == "" or address not in str(wrong.value)


def test_a_letter_to_thousands_costs_no_statement_for_its_unsubscribe_links(django_assert_num_queries: Any) -> None:
    account()
    with django_assert_num_queries(0):
        unsubscribe_headers(ADA, "newsletter", root=ROOT)


# RFC 8058


def headers_of(raw: bytes) -> dict[str, str]:
    """Return a letter's headers as a mail server has them: unfolded, and not decoded."""
    head = raw.replace(b"\r\n", b"\n").partition(b"\n\n")[0].decode("ascii")
    unfolded = re.sub(r"\n(?=[ \t])", "", head)
    return dict(line.split(": ", 1) for line in unfolded.splitlines())


@pytest.mark.parametrize("letter_class", [EmailMessage, EmailMultiAlternatives])
def test_the_headers_reach_the_mail_server_as_they_are(letter_class: Any) -> None:
    headers = unsubscribe_headers(ADA, "newsletter", root=ROOT)
    letter = letter_class("Hello", "Text", "site@example.com", [ADA], headers=headers)
    found = headers_of(letter.message().as_bytes())
    url = re.fullmatch(r"<(https://example\.org/ctct/unsubscribe/[\w-]+/)>", found["List-Unsubscribe"].strip())
    assert url, found["List-Unsubscribe"]
    assert found["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = links.read(token_of(url.group(1)), Purpose.UNSUBSCRIBE)
    assert (link.address, link.key) == (ADA, "newsletter")


def test_the_header_fits_into_one_line_for_the_longest_address_and_key() -> None:
    """RFC 5322 allows 998 signs."""
    longest = "a" * 242 + "@example.com"
    headers = unsubscribe_headers(longest, "k" * 64, root="https://" + "www." * 15 + "example.org")
    letter = EmailMessage("Hello", "Text", "site@example.com", ["x@example.com"], headers=headers)
    assert max(map(len, letter.message().as_bytes().splitlines())) <= 998


def test_a_letter_with_the_headers_is_read_back_by_python_itself() -> None:
    headers = unsubscribe_headers(ADA, root=ROOT)
    raw = EmailMessage("Hello", "Text", "site@example.com", [ADA], headers=headers).message().as_bytes()
    read = email.message_from_bytes(raw, policy=email.policy.default)
    assert str(read["List-Unsubscribe"]).strip() == headers["List-Unsubscribe"]
