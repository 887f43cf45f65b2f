"""The site's word on what a member means at Constant Contact.

A site subclasses ``MemberAdapter`` once per member model and names it in ``CTCT["ADAPTERS"]``. An adapter
reads a member and returns a value; it writes nothing and calls nobody. It may import conf, types and
exceptions only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, ClassVar

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, ObjectDoesNotExist
from django.core.signals import setting_changed
from django.db import models
from django.utils.module_loading import import_string

from . import conf
from .exceptions import ConfigurationError
from .types import DesiredContact, normalise_address, storable

__all__ = ["MemberAdapter", "Rule", "all_adapters", "follow", "for_account"]

#: A field, property, method or dotted path of the member by name, or a callable that takes the member.
Rule = str | Callable[[Any], Any]


class MemberAdapter:
    """Say which lists a member's address belongs on, and which of her fields the site owns.

    ::

        class Members(MemberAdapter):
            model = Member
            lists = {"free": "is_free", "sustainers": "is_sustainer"}

    ``lists`` maps a key to a rule; the member is on the list when the rule gives something true.
    ``fields`` maps contact fields (``company_name``, ``custom:1``) to rules; the site owns a field as far as
    it has a value. ``watch`` maps other models to the path that leads from them to the member.
    """

    model: ClassVar[type[models.Model]]
    lists: ClassVar[Mapping[str, Rule]] = {}
    fields: ClassVar[Mapping[str, Rule]] = {}
    watch: ClassVar[Mapping[str, str]] = {}
    account: ClassVar[str] = conf.DEFAULT_ACCOUNT
    email: ClassVar[Rule] = "email"
    first_name: ClassVar[Rule | None] = "first_name"
    last_name: ClassVar[Rule | None] = "last_name"

    def desired(self, member: Any) -> DesiredContact:
        """Return what the site wants for this member. An empty address means: nothing."""
        return DesiredContact(
            email=normalise_address(read(member, type(self).email)),
            lists=frozenset(key for key, rule in self.lists.items() if read(member, rule)),
            fields={name: text for name, rule in self.field_rules() if (text := _text(read(member, rule)))},
        )

    def field_rules(self) -> Iterator[tuple[str, Rule]]:
        """Yield the contact fields that the site owns. A name attribute that the model lacks is left out."""
        for name in ("first_name", "last_name"):
            rule = getattr(type(self), name)  # from the class: a function must not become a method
            if rule is not None and name not in self.fields and (rule != name or _has(self.model, name)):
                yield name, rule
        yield from self.fields.items()

    def members(self) -> models.QuerySet[Any]:
        """Return the members, for ``mirror_all``. Override it to prefetch what the rules read."""
        return self.model._default_manager.all()

    def member_key(self, member: Any) -> str:
        """Return the name under which this member's wishes are kept: it must never change nor be used again."""
        return f"{self.model._meta.label_lower}:{member.pk}"

    def watched(self) -> Iterator[tuple[type[models.Model], str]]:
        """Yield the other models whose changes change a wish, with the path to the member."""
        for label, path in self.watch.items():
            yield apps.get_model(label), path

    @classmethod
    def problems(cls) -> list[str]:
        """Return what is wrong with this adapter, one sentence each; empty when it can be used."""
        return list(_problems(cls))


def read(member: Any, rule: Rule) -> Any:
    """Apply a rule to a member. A related object that is not there reads as None."""
    value = rule(member) if callable(rule) else _follow(member, rule)
    return value() if callable(value) else value


def follow(instance: Any, path: str) -> list[Any]:
    """Return the members that a watched object leads to: none, one, or all of a related set."""
    found = _follow(instance, path)
    if found is None:
        return []
    return list(found.all()) if hasattr(found, "all") else [found]


def _follow(start: Any, path: str) -> Any:
    value = start
    for step in path.replace("__", ".").split("."):
        try:
            value = getattr(value, step)
        except ObjectDoesNotExist:
            return None
        if value is None:
            return None
    return value


def _text(value: object) -> str:
    return "" if value is None or value is False else storable(str(value)).strip()


def _has(model: type[models.Model], name: str) -> bool:
    try:
        model._meta.get_field(name)
    except FieldDoesNotExist:
        return hasattr(model, name)
    return True


def _problems(adapter: type[MemberAdapter]) -> Iterator[str]:
    name = f"{adapter.__module__}.{adapter.__qualname__}"
    model = getattr(adapter, "model", None)
    if not (isinstance(model, type) and issubclass(model, models.Model)):
        yield f"{name} names no model: set model = YourMember."
        return
    if not adapter.lists and adapter.desired is MemberAdapter.desired:
        yield f"{name} maps no list: set lists = {{'key': 'attribute'}}."
    for where, rule in _named_rules(adapter):
        if isinstance(rule, str) and not _has(model, rule.replace("__", ".").split(".")[0]):
            known = [field.name for field in model._meta.get_fields()]
            yield f"{name}.{where} names {rule!r}, which {model._meta.label} does not have.{conf.nearest(rule, known)}"
    yield from _watch_problems(adapter, name)


def _named_rules(adapter: type[MemberAdapter]) -> Iterator[tuple[str, Rule]]:
    yield "email", adapter.email
    for key, rule in adapter.lists.items():
        yield f"lists[{key!r}]", rule
    for field, rule in adapter.fields.items():
        yield f"fields[{field!r}]", rule
    for attribute in ("first_name", "last_name"):
        rule = getattr(adapter, attribute)
        if rule is not None and rule != attribute:
            yield attribute, rule


def _watch_problems(adapter: type[MemberAdapter], name: str) -> Iterator[str]:
    for label, path in adapter.watch.items():
        try:
            model = apps.get_model(label)
        except (LookupError, ValueError):
            yield f"{name}.watch names the model {label!r}, which is not installed. Write it as 'app_label.Model'."
            continue
        if not _has(model, path.replace("__", ".").split(".")[0]):
            yield f"{name}.watch[{label!r}] names {path!r}, which {label} does not have."


def all_adapters() -> tuple[MemberAdapter, ...]:
    """Return the adapters of ``CTCT["ADAPTERS"]``. Raise ``ConfigurationError`` for one that cannot be used."""
    return _all_adapters()


def for_account(alias: str | None = None) -> Iterable[MemberAdapter]:
    """Return the adapters of one account, or all of them."""
    return [one for one in all_adapters() if alias is None or one.account == alias]


@lru_cache(maxsize=1)
def _all_adapters() -> tuple[MemberAdapter, ...]:
    found = tuple(_load(path) for path in conf.read().adapters)
    seen: set[tuple[str, type[models.Model]]] = set()
    for adapter in found:
        place = (adapter.account, adapter.model)
        if place in seen:
            raise ConfigurationError(
                f"Two adapters of the account {adapter.account!r} serve {adapter.model._meta.label}."
            )
        seen.add(place)
    return found


def _load(path: str) -> MemberAdapter:
    try:
        adapter = import_string(path)
    except ImportError as error:
        raise ConfigurationError(f"CTCT['ADAPTERS'] names {path!r}, which cannot be imported: {error}") from error
    if not (isinstance(adapter, type) and issubclass(adapter, MemberAdapter)):
        raise ConfigurationError(f"CTCT['ADAPTERS'] names {path!r}, which is not a MemberAdapter class.")
    if problems := adapter.problems():
        raise ConfigurationError(" ".join(problems))
    conf.account(adapter.account)
    return adapter()


def _forget(*, setting: str, **_: object) -> None:
    if setting == "CTCT":
        _all_adapters.cache_clear()


setting_changed.connect(_forget, dispatch_uid="django_ctct.adapters")
