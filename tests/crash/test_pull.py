"""A full pull dies by SIGKILL at every page of its walk, and the next one goes on where it was.

Each cell begins with an empty mirror, so that what a page told has to be written down by the pull that died on it or
by the one that went on. The default run takes the middle of the walk, ``CTCT_TEST_FULL=1`` every page.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F

from django_ctct.models import Account, Contact, RemoteMembership
from django_ctct.pull import LEASE, is_walking
from tests.account import LISTS, UNMANAGED, Sandbox, by_wire

from .conftest import Runner
from .points import PageMoment, on_page
from .test_matrix import FULL

pytestmark = pytest.mark.sandbox

#: Two pages and a half of contacts. v1 names no lists there, and walks the three bound ones after them.
CROWD = by_wire(v1=125, v3=1250)
PAGES = by_wire(v1=6, v3=3)
NAMES = (*LISTS.values(), UNMANAGED)


def crowd() -> dict[str, str]:
    """Return who is in the account, and on which list."""
    return {f"m{number:04}@example.com": NAMES[number % 4] for number in range(CROWD)}


@pytest.fixture(scope="module")
def crowded(site: Sandbox) -> Sandbox:
    site.reset(*({"email": email, "lists": [name]} for email, name in crowd().items()))
    site.bind()
    return site


@pytest.fixture
def unread(crowded: Sandbox) -> Sandbox:
    """Nobody has ever been read."""
    Contact.objects.all().delete()
    Account.objects.update(pulled_to=None, pulled_at=None, walk_begun_at=None, walk_cursor="", walk_seen=0)
    crowded.forget()
    return crowded


def pages_asked(box: Sandbox) -> int:
    return len(box.requests())


@pytest.mark.parametrize("number", range(1, PAGES + 1) if FULL else (2,))
@pytest.mark.parametrize("moment", list(PageMoment))
def test_a_full_pull_that_is_killed_goes_on_at_the_same_page(
    unread: Sandbox, runner: Runner, number: int, moment: PageMoment
) -> None:
    assert runner.told_to_die(on_page(moment, number), "pull")
    before = Account.objects.get()
    assert is_walking(before)
    assert pages_asked(unread) == number
    Account.objects.update(pull_lease_until=F("pull_lease_until") - LEASE - timedelta(seconds=1))
    assert not runner.told_to_die("never", "pull")
    lost = 0 if moment is PageMoment.KEPT else 1
    assert pages_asked(unread) == PAGES + lost, "only the page that was not kept is asked for again"
    assert not is_walking(Account.objects.get())
    assert Account.objects.get().walk_seen == CROWD
    assert set(Contact.objects.values_list("email", flat=True)) == set(crowd())
    told = RemoteMembership.objects.values_list("contact__email", "list__name")
    named = NAMES if by_wire(v1=False, v3=True) else tuple(LISTS.values())
    assert set(told) == {(email, name) for email, name in crowd().items() if name in named}
