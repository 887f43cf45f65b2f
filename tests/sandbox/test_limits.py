"""The limit per key: calls in a second and in a UTC day (v1 sheet §8)."""

from __future__ import annotations

import pytest

from tests.sandbox.caller import Caller


@pytest.fixture
def limited(api: Caller) -> Caller:
    api.switch(rate_limit=True, calls_per_second=4, calls_per_day=10_000)
    return api


def statuses(api: Caller, calls: int) -> list[int]:
    return [api.get("lists").status_code for _ in range(calls)]


def test_the_fifth_call_in_a_second_is_turned_away_as_by_the_gateway(limited: Caller) -> None:
    assert statuses(limited, 4) == [200] * 4
    answer = limited.get("lists")
    assert answer.status_code == 403
    assert answer.headers["X-Mashery-Error-Code"] == "ERR_403_DEVELOPER_OVER_QPS"
    assert "Developer Over Qps" in answer.text
    assert "Retry-After" not in answer.headers


def test_a_second_later_calls_are_let_through_again(limited: Caller) -> None:
    assert statuses(limited, 6) == [200] * 4 + [403] * 2
    limited.control("clock", {"advance": 1})
    assert statuses(limited, 5) == [200] * 4 + [403]


def test_the_limit_is_off_unless_it_is_switched_on(api: Caller) -> None:
    api.switch(rate_limit=False)
    assert statuses(api, 8) == [200] * 8


def test_the_other_answer_is_429_with_a_hint(limited: Caller) -> None:
    limited.switch(over_limit="429")
    statuses(limited, 4)
    answer = limited.get("lists")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")


def test_a_used_up_day_ends_at_midnight_utc(limited: Caller) -> None:
    limited.switch(calls_per_day=2, over_limit="403_mashery")
    assert statuses(limited, 2) == [200] * 2
    answer = limited.get("lists")
    assert (answer.status_code, answer.headers["X-Mashery-Error-Code"]) == (403, "ERR_403_DEVELOPER_OVER_RATE")
    assert limited.state()["quota"] == {"used": 2, "limit": 2, "per_second": 4, "on": True}
    limited.switch(over_limit="429")
    limited.control("clock", {"advance": int(limited.get("lists").headers["Retry-After"])})
    assert limited.get("lists").status_code == 200
    assert limited.state()["quota"]["used"] == 1


def test_wrong_credentials_use_up_nothing(limited: Caller) -> None:
    good, limited.session.auth = limited.session.auth, None
    assert statuses(limited, 6) == [401] * 6
    limited.session.auth = good
    assert limited.state()["quota"]["used"] == 0


def test_a_refused_write_changes_nothing(limited: Caller) -> None:
    statuses(limited, 4)
    assert limited.post().status_code == 403
    assert limited.state()["contacts"] == []
