"""What the vendor published about every v3 endpoint that is used here, as data, and a check of traffic against it.

It exists to hold all traffic of a test suite against the rules: ``client_faults`` says what a request got wrong,
``server_faults`` what an answer did. Both read one exchange as ``GET /_sandbox/exchanges`` shows it (or
``Logged.as_exchange()``). The table is written from the v3 protocol sheet and knows neither client nor sandbox.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_STATUS = r"(all|active|deleted|not_set|pending_confirmation|temp_hold|unsubscribed)"
_SUB = r"(custom_fields|list_memberships|taggings|phone_numbers|street_addresses|notes)"
_COUNT = "(all|active)"
_TIMES = tuple(f"{what}_{side}" for what in ("updated", "created", "optout") for side in ("after", "before"))
_TIME = r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?"
ALWAYS = frozenset({400, 401, 403, 404, 405, 406, 415, 429, 500, 503})
"""Answers that §6 allows everywhere."""


def _csv(pattern: str, most: int | None = None) -> str:
    times = "*" if most is None else f"{{0,{most - 1}}}"
    return f"{pattern}(,{pattern}){times}"


def _limit(most: int) -> str:
    """Return a pattern of the whole numbers from 1 to 100, 500 or 1000."""
    return {100: r"(100|[1-9]\d?)", 500: r"(500|[1-4]?\d?[1-9]|[1-4]?[1-9]0|[1-4]00)", 1000: r"(1000|[1-9]\d{0,2})"}[
        most
    ]


@dataclass(frozen=True, slots=True)
class Rule:
    """Hold what is published of one endpoint.

    ``params`` maps query parameters to what their whole value must match; ``body`` are the members that a body
    must have, ``any_of`` those of which it needs one, ``only`` those that there are, ``arrays`` the least and most
    entries of array members (dotted paths go down, also into each entry), ``texts`` the longest lengths, ``values``
    what a text, or each of an array, must match; ``codes`` the answers beside ``ALWAYS``; ``says`` the members of a
    good answer. ``needs`` are parameters that must be there, ``form`` those of a form, by its grant, with a ``?``
    where they may be left out; ``page`` is answered to a browser. ``never`` says why this client may not call it.
    """

    method: str
    path: str
    section: str
    codes: frozenset[int]
    params: Mapping[str, str] = field(default_factory=dict)
    body: frozenset[str] = frozenset()
    one_of: tuple[str, ...] = ()
    arrays: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    texts: Mapping[str, int] = field(default_factory=dict)
    says: frozenset[str] = frozenset()
    any_of: tuple[str, ...] = ()
    only: frozenset[str] = frozenset()
    values: Mapping[str, str] = field(default_factory=dict)
    needs: frozenset[str] = frozenset()
    form: Mapping[str, str] = field(default_factory=dict)
    page: bool = False
    never: str = ""

    def fits(self, method: str, path: str) -> bool:
        """Tell whether a request is one of this endpoint."""
        return method == self.method and re.fullmatch(self.path, path) is not None


def _rule(method: str, path: str, section: str, codes: str, **more: Any) -> Rule:
    for name in ("body", "says", "only", "needs"):
        more[name] = frozenset(more.get(name, "").split())
    full = (
        path.replace("{id}", f"({UUID})") if path.startswith("/oauth2") else "/v3" + path.replace("{id}", f"({UUID})")
    )
    return Rule(method, full, section, frozenset(int(code) for code in codes.split()), **more)


_CORE = {name: 50 for name in ("first_name", "last_name", "job_title", "company_name")}
_CONTACT_ARRAYS = {
    "list_memberships": (0, 50),
    "custom_fields": (0, 25),
    "taggings": (0, 50),
    "phone_numbers": (0, 3),
    "street_addresses": (0, 3),
    "notes": (0, 150),
}
_CONTACT_TEXTS = {**_CORE, "email_address.address": 80, "email_address.opt_out_reason": 255}
_WHO = "(Contact|Account)"
_CONTACT_VALUES = {
    "create_source": _WHO,
    "update_source": _WHO,
    "email_address.permission_to_send": r"(explicit|implicit|not_set|pending_confirmation|temp_hold|unsubscribed)",
    "list_memberships": UUID,
    "taggings": UUID,
    "custom_fields.custom_field_id": UUID,
    "phone_numbers.kind": "(home|work|mobile|other)",
    "street_addresses.kind": "(home|work|other)",
}
#: What may be said of a new one (§2.4).
_NEW_VALUES = {**_CONTACT_VALUES, "email_address.permission_to_send": "(explicit|implicit|unsubscribed)"}
_CONTACT_MEMBERS = (
    "email_address first_name last_name job_title company_name birthday_month birthday_day anniversary sms_channel "
    "custom_fields list_memberships taggings phone_numbers street_addresses notes"
)
_LIST_TEXTS = {"name": 255, "description": 255}
_SOURCES = (
    "contact_ids",
    "list_ids",
    "all_active_contacts",
    "tag_ids",
    "new_subscriber",
    "segment_id",
    "engagement_level",
)
_MEMBERSHIP_ARRAYS = {
    "list_ids": (1, 50),
    "source.contact_ids": (1, 500),
    "source.list_ids": (1, 50),
    "source.tag_ids": (1, 50),
    "exclude.contact_ids": (0, 500),
}
_MEMBERSHIP_VALUES = dict.fromkeys(("list_ids", "source.contact_ids", "source.list_ids", "source.tag_ids"), UUID)
_ACTIVITY = "activity_id state created_at updated_at"
_CURSOR = ".+"

RULES: tuple[Rule, ...] = (
    _rule(
        "GET",
        "/contacts",
        "§2.2",
        "200 202",
        params={
            "status": _csv(_STATUS),
            "email": "[^ ]+@[^ ]+",
            "lists": _csv(UUID, 25),
            "tags": _csv(UUID, 50),
            "segment_id": r"\d+",
            **dict.fromkeys(_TIMES, _TIME),
            "include": _csv(_SUB),
            "sms_status": _csv("(all|explicit|unsubscribed|pending_confirmation|not_set)"),
            "include_count": "(true|false)",
            "limit": _limit(500),
            "cursor": _CURSOR,
        },
        says="contacts",
    ),
    _rule(
        "POST",
        "/contacts",
        "§2.4",
        "201 409",
        body="create_source",
        any_of=("first_name", "last_name", "email_address.address", "sms_channel"),
        only=f"create_source {_CONTACT_MEMBERS}",
        arrays=_CONTACT_ARRAYS,
        texts=_CONTACT_TEXTS,
        values=_NEW_VALUES,
        says="contact_id create_source created_at updated_at",
    ),
    _rule(
        "GET", "/contacts/{id}", "§2.3", "200", params={"include": _csv(_SUB)}, says="contact_id created_at updated_at"
    ),
    _rule(
        "PUT",
        "/contacts/{id}",
        "§2.5",
        "200 409",
        body="update_source",
        only=f"update_source {_CONTACT_MEMBERS}",
        arrays=_CONTACT_ARRAYS,
        texts=_CONTACT_TEXTS,
        values=_CONTACT_VALUES,
        says="contact_id update_source updated_at",
    ),
    _rule("DELETE", "/contacts/{id}", "§2.6", "204"),
    _rule(
        "GET",
        "/contacts/counts",
        "§2.9",
        "200",
        params={"include": "new_subscriber"},
        says="total explicit implicit pending unsubscribed",
    ),
    _rule("GET", "/contacts/contact_id_xrefs", "§2.9", "200", params={"sequence_ids": _csv(r"\d+", 500)}, says="xrefs"),
    _rule(
        "POST",
        "/contacts/sign_up_form",
        "§2.7",
        "200 201 409",
        body="email_address list_memberships",
        arrays={"list_memberships": (1, 50), "custom_fields": (0, 50)},
        texts={**_CORE, "email_address": 50, "phone_number": 25},
        values={"list_memberships": UUID, "custom_fields.custom_field_id": UUID},
        says="contact_id action",
        never="it makes an unsubscribed contact explicit, and no person has asked for that",
    ),
    _rule(
        "PUT",
        "/contacts/resubscribe/{id}",
        "§2.8",
        "200",
        body="list_ids",
        arrays={"list_ids": (1, 50)},
        values={"list_ids": UUID},
    ),
    _rule(
        "GET",
        "/contact_lists",
        "§3",
        "200",
        params={
            "limit": _limit(1000),
            "include_count": "(true|false)",
            "include_membership_count": _COUNT,
            "include_sms_membership_count": _COUNT,
            "name": ".+",
            "status": _COUNT.replace(")", "|deleted)"),
            "channel_type": "(email|sms)",
            "cursor": _CURSOR,
        },
        says="lists",
    ),
    _rule(
        "POST",
        "/contact_lists",
        "§3",
        "201 409",
        body="name",
        texts=_LIST_TEXTS,
        says="list_id name created_at updated_at",
    ),
    _rule(
        "GET", "/contact_lists/list_id_xrefs", "§2.9", "200", params={"sequence_ids": _csv(r"\d+", 500)}, says="xrefs"
    ),
    _rule("GET", "/contact_lists/{id}", "§3", "200", params={"include_membership_count": _COUNT}, says="list_id name"),
    _rule("PUT", "/contact_lists/{id}", "§3", "200 409", body="name", texts=_LIST_TEXTS, says="list_id name"),
    _rule("DELETE", "/contact_lists/{id}", "§3", "202", says=_ACTIVITY),
    _rule(
        "POST",
        "/activities/add_list_memberships",
        "§4",
        "201",
        body="source list_ids",
        one_of=tuple(f"source.{name}" for name in _SOURCES),
        arrays=_MEMBERSHIP_ARRAYS,
        values=_MEMBERSHIP_VALUES,
        says=_ACTIVITY,
    ),
    _rule(
        "POST",
        "/activities/remove_list_memberships",
        "§4",
        "201",
        body="source list_ids",
        one_of=tuple(f"source.{name}" for name in _SOURCES if name != "segment_id"),
        arrays=_MEMBERSHIP_ARRAYS,
        values=_MEMBERSHIP_VALUES,
        says=_ACTIVITY,
    ),
    _rule(
        "POST",
        "/activities/contacts_json_import",
        "§4",
        "201",
        body="import_data list_ids",
        arrays={"import_data": (1, 40_000), "list_ids": (1, 50)},
        values={"list_ids": UUID},
        says=_ACTIVITY,
    ),
    _rule(
        "POST",
        "/activities/contact_delete",
        "§4",
        "201",
        one_of=("contact_ids", "list_ids"),
        arrays={"contact_ids": (1, 500), "list_ids": (1, 50)},
        values={"contact_ids": UUID, "list_ids": UUID},
        says=_ACTIVITY,
    ),
    _rule(
        "GET",
        "/activities",
        "§4",
        "200",
        params={
            "state": "(initialized|processing|completed|cancelled|failed|timed_out)",
            "limit": _limit(500),
            "cursor": _CURSOR,
        },
        says="activities",
    ),
    _rule("GET", "/activities/{id}", "§4", "200", says=_ACTIVITY),
    _rule(
        "GET",
        "/contact_custom_fields",
        "§5",
        "200",
        params={"limit": _limit(100), "cursor": _CURSOR},
        says="custom_fields",
    ),
    _rule(
        "POST",
        "/contact_custom_fields",
        "§5",
        "201 409",
        body="label type",
        texts={"label": 50},
        says="custom_field_id label name type",
    ),
    _rule("GET", "/contact_custom_fields/{id}", "§5", "200", says="custom_field_id label name type"),
    _rule(
        "PUT",
        "/contact_custom_fields/{id}",
        "§5",
        "200 409",
        body="label",
        texts={"label": 50},
        says="custom_field_id label",
    ),
    _rule("DELETE", "/contact_custom_fields/{id}", "§5", "204"),
    _rule("GET", "/contact_tags", "§5", "200", params={"limit": _limit(500), "cursor": _CURSOR}, says="tags"),
    _rule("POST", "/contact_tags", "§5", "201 409", body="name", texts={"name": 255}, says="tag_id name"),
    _rule("GET", "/account/summary", "§1.6", "200", says="encoded_account_id"),
    _rule(
        "GET",
        "/oauth2/default/v1/authorize",
        "§1.2",
        "200 302",
        params={
            "client_id": r"[!-9;-~]+",
            "redirect_uri": r"https?://.+",
            "response_type": "code",
            "state": ".+",
            "scope": r"[a-z_]+( [a-z_]+)*",
            "code_challenge": r"[\w-]{43}",
            "code_challenge_method": "S256",
            "prompt": "login",
        },
        needs="client_id redirect_uri response_type state scope",
        page=True,
    ),
    _rule(
        "POST",
        "/oauth2/default/v1/token",
        "§1.3",
        "200",
        says="token_type expires_in access_token scope",
        form={
            "authorization_code": "code redirect_uri code_verifier? client_id?",
            "refresh_token": "refresh_token client_id?",
            "urn:ietf:params:oauth:grant-type:device_code": "device_code client_id?",
        },
    ),
    _rule(
        "POST",
        "/oauth2/default/v1/device/authorize",
        "§1.1",
        "200",
        says="device_code user_code verification_uri expires_in",
        form={"": "client_id scope"},
    ),
)


def rule_for(exchange: Mapping[str, Any]) -> Rule | None:
    """Return the rule of an exchange: the fixed names come before the ids."""
    path = urlsplit(exchange["path"]).path.lower()
    found = [rule for rule in RULES if rule.fits(exchange["method"], path)]
    return min(found, key=lambda rule: "(" in rule.path, default=None)


def breaches(exchanges: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what either side got wrong in all of these exchanges, in sentences that name no person."""
    return [f"{side}: {each}" for one in exchanges for side, told in _both(one) for each in told]


def _both(exchange: Mapping[str, Any]) -> tuple[tuple[str, list[str]], tuple[str, list[str]]]:
    return ("client", client_faults(exchange)), ("sandbox", server_faults(exchange))


# The client


def client_faults(exchange: Mapping[str, Any]) -> list[str]:
    """Return what a request of v3 got wrong, in sentences that name no person."""
    if not exchange["path"].startswith(("/v3", "/oauth2")) or _is_a_persons(exchange):
        return []
    rule = rule_for(exchange)
    if rule is None:
        return [f"no endpoint: {exchange['method']} {urlsplit(exchange['path']).path}"]
    told = [f"it may not be called: {rule.never}"] if rule.never else []
    told += _form_faults(rule, exchange) if rule.form else _query_faults(rule, exchange)
    told += [*_header_faults(rule, exchange), *_body_faults(rule, exchange)]
    return [f"{rule.method} {urlsplit(exchange['path']).path} ({rule.section}): {each}" for each in told]


def _is_a_persons(exchange: Mapping[str, Any]) -> bool:
    """Say whether it is the doing of a person on the server's own pages, which no sheet knows."""
    path = urlsplit(exchange["path"]).path
    return path == "/oauth2/default/v1/activate" or (path, exchange["method"]) == (
        "/oauth2/default/v1/authorize",
        "POST",
    )


def _form_faults(rule: Rule, exchange: Mapping[str, Any]) -> list[str]:
    """Hold a form, whose parameters may also stand in the query (§1.3), to what its grant needs."""
    texts = (urlsplit(exchange["path"]).query, exchange["body"])
    given = [pair for text in texts for pair in parse_qsl(text, keep_blank_values=True)]
    names = [name for name, _ in given]
    faults = [f"parameter {name} is there twice" for name in sorted(set(names)) if names.count(name) > 1]
    values = dict(given)
    grant = values.pop("grant_type", "")
    if grant not in rule.form:
        return [*faults, "grant_type is missing or has a wrong value"]
    wanted = rule.form[grant].split()
    faults += [f"parameter {name} is missing" for name in wanted if not name.endswith("?") and not values.get(name)]
    known = {name.removesuffix("?") for name in wanted}
    return faults + [f"parameter {name} is not published" for name in sorted(set(values) - known)]


def _query_faults(rule: Rule, exchange: Mapping[str, Any]) -> list[str]:
    given = parse_qsl(urlsplit(exchange["path"]).query, keep_blank_values=True)
    faults = [f"parameter {name} is not published" for name, _ in given if name not in rule.params]
    faults += [
        f"parameter {name} has a wrong value"
        for name, value in given
        if name in rule.params and not re.fullmatch(rule.params[name], value)
    ]
    names = [name for name, _ in given]
    faults += [f"parameter {name} is there twice" for name in sorted(set(names)) if names.count(name) > 1]
    faults += [f"parameter {name} is missing" for name in sorted(rule.needs - set(names))]
    if "cursor" in names and len(names) > 1:
        faults.append("something stands beside the cursor")
    if "segment_id" in names and set(names) - {"segment_id", "limit"}:
        faults.append("something but limit stands beside segment_id")
    return faults


def _header_faults(rule: Rule, exchange: Mapping[str, Any]) -> list[str]:
    media = exchange["headers"].get("content-type", "").partition(";")[0].strip().lower()
    if rule.form:
        return [] if media in ("", "application/x-www-form-urlencoded") else [f"Content-Type is {media}"]
    faults = []
    if rule.method in ("POST", "PUT") and media != "application/json":
        faults.append(f"Content-Type is {media or 'missing'}")
    accepted = exchange["headers"].get("accept", "")
    if accepted and not rule.page and not any(each in accepted for each in ("application/json", "*/*")):
        faults.append("Accept has no JSON in it")
    return faults


def _body_faults(rule: Rule, exchange: Mapping[str, Any]) -> list[str]:
    if rule.form:
        return []
    if rule.method not in ("POST", "PUT"):
        return ["a body came with it"] if exchange["body"] else []
    if len(exchange["body"]) >= 64 * 1024:
        return []  # the log keeps no more of it, so nothing can be said
    try:
        sent = json.loads(exchange["body"])
    except ValueError:
        return ["the body is not JSON"]
    if not isinstance(sent, dict):
        return ["the body is not an object"]
    faults = [f"{name} is missing" for name in sorted(rule.body) if sent.get(name) is None]
    if rule.one_of and sum(_at(sent, path) is not None for path in rule.one_of) != 1:
        faults.append(f"exactly one of {', '.join(rule.one_of)} is allowed")
    if rule.any_of and not any(_at(sent, path) for path in rule.any_of):
        faults.append(f"one of {', '.join(rule.any_of)} is needed")
    if rule.only:
        faults += [f"the member {name} is not published" for name in sorted(set(sent) - rule.only)]
    faults += [
        f"{path} has a wrong value" for path, pattern in rule.values.items() if _wrong_value(sent, path, pattern)
    ]
    faults += [
        f"{path} has a wrong number of entries" for path, span in rule.arrays.items() if _wrong_size(sent, path, span)
    ]
    return faults + [
        f"{path} is too long" for path, most in rule.texts.items() if len(str(_at(sent, path) or "")) > most
    ]


def _at(sent: Mapping[str, Any], path: str) -> Any:
    value: Any = sent
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _each(sent: Any, names: list[str]) -> list[Any]:
    """Return what stands at a path, of which every array is gone into."""
    if isinstance(sent, list):
        return [value for one in sent for value in _each(one, names)]
    if not names:
        return [sent]
    return _each(sent.get(names[0]), names[1:]) if isinstance(sent, dict) else []


def _wrong_value(sent: Mapping[str, Any], path: str, pattern: str) -> bool:
    given = [value for value in _each(sent, path.split(".")) if value is not None]
    return not all(isinstance(value, str) and re.fullmatch(pattern, value) for value in given)


def _wrong_size(sent: Mapping[str, Any], path: str, span: tuple[int, int]) -> bool:
    value = _at(sent, path)
    return value is not None and not (isinstance(value, list) and span[0] <= len(value) <= span[1])


# The server


def server_faults(exchange: Mapping[str, Any]) -> list[str]:
    """Return what an answer of v3 got wrong; one that a fault made up is none of ours."""
    rule, status = rule_for(exchange), exchange["applied"]
    if status is None or rule is None:
        return []
    where = f"{rule.method} {rule.path}: "
    if status not in rule.codes | ALWAYS:
        return [f"{where}{status} is not documented"]
    if status in (204, 202, 201, 200):
        told = _good_answer_faults(rule, status, exchange["answer"])
    else:
        told = [] if rule.form or rule.page or status == 302 else _error_faults(status, exchange["answer"])
    return [where + each for each in told]


def _good_answer_faults(rule: Rule, status: int, text: str | None) -> list[str]:
    if text is None:
        return []  # too long for the log
    if status == 204:
        return ["204 has a body"] if text else []
    answer = json.loads(text)
    faults = [f"{name} is missing" for name in sorted(rule.says) if name not in answer]
    return faults + [f"{name} is not a time" for name, value in _times(answer) if not _is_time(value)]


def _error_faults(status: int, text: str | None) -> list[str]:
    """Hold an error to its shape: an object for 401 and 429, an array for all others (§6)."""
    told = json.loads(text or "null")
    if status in (401, 429):
        told = [told]
    if isinstance(told, list) and all(
        isinstance(each, dict) and {"error_key", "error_message"} == set(each) for each in told
    ):
        return []
    return [f"the {status} is not of the shape for it"]


def _times(answer: Any) -> list[tuple[str, str]]:
    if isinstance(answer, list):
        return [pair for each in answer for pair in _times(each)]
    if not isinstance(answer, dict):
        return []
    own = [(name, value) for name, value in answer.items() if name.endswith("_at") and isinstance(value, str)]
    return own + [pair for value in answer.values() for pair in _times(value)]


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
