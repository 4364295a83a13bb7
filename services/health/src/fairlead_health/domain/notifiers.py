"""Which notifier is told of which alert, what is wrong with a list of notifiers, and how secrets are referred to."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from fairlead_common.events.alerts import AlertRaised
from fairlead_common.operations.alert_rules import Problem
from fairlead_common.operations.notifiers import (
    EACH,
    AnyNotifier,
    AppriseNotifier,
    PagerDutyNotifier,
    WebhookNotifier,
)
from pydantic import TypeAdapter, ValidationError

from fairlead_health.domain.rules import explained

NOTIFIER: Final[TypeAdapter[AnyNotifier]] = TypeAdapter(AnyNotifier)
KINDS: Final = ("webhook", "pagerduty", "apprise")
REFERENCE: Final = re.compile(r"\$\{([^}]*)\}")
VARIABLE: Final = re.compile(r"NOTIFIER_[A-Z0-9_]+")
"""Others cannot be referred to, so that nobody can have the keys of providers or the database sent anywhere."""
SECRET_HEADERS: Final = frozenset(("authorization", "proxy-authorization", "x-api-key", "cookie"))
MASK: Final = "***"

Notifiers = tuple[AnyNotifier, ...]


class SecretMissing(Exception):
    """A variable that a notifier refers to is not set; the message names it."""


def read(
    raw: Sequence[Mapping[str, Any]],
    providers: Collection[str],
    alertnames: Collection[str],
    labels: Collection[str],
    secrets: Mapping[str, str],
) -> tuple[Notifiers, list[Problem]]:
    """The notifiers that can be read, and what is wrong; accept them only when nothing is.

    Args:
        labels: names of those that alerts have.
    """
    found: list[AnyNotifier] = []
    problems: list[Problem] = []
    for position, each in enumerate(raw):
        where = f"notifiers[{position}]"
        try:
            notifier = NOTIFIER.validate_python(each)
        except ValidationError as error:
            problems += explained(where, error, KINDS)
            continue
        if notifier.name in [other.name for other in found]:
            problems.append(Problem(where=f"{where}.name", message=f"'{notifier.name}' is given twice"))
        found.append(notifier)
        problems += _unknown(where, "providers", notifier.providers, providers)
        problems += _unknown(where, "alertnames", notifier.alertnames, alertnames)
        problems += _grouping(where, notifier, labels)
        problems += _secrets(where, notifier, secrets)
    return tuple(found), problems


def wants(notifier: AnyNotifier, alert: AlertRaised) -> bool:
    """Whether the notifier is told of such alerts."""
    return (
        notifier.enabled
        and (not notifier.severities or alert.severity in notifier.severities)
        and (not notifier.providers or alert.provider in notifier.providers)
        and (not notifier.alertnames or alert.alertname in notifier.alertnames)
    )


def resolved(text: str, secrets: Mapping[str, str]) -> str:
    """The text with its references replaced.

    Raises:
        SecretMissing: one of them is not set.
    """

    def value(found: "re.Match[str]") -> str:
        name = found[1]
        if not VARIABLE.fullmatch(name) or name not in secrets:
            raise SecretMissing(f"the variable {name} is not set in the health service's environment")
        return secrets[name]

    return REFERENCE.sub(value, text)


def redacted(text: str, secrets: Mapping[str, str]) -> str:
    """The text without any value of the secrets: what a library says of its failure may repeat them."""
    for value in sorted(filter(None, secrets.values()), key=len, reverse=True):
        text = text.replace(value, MASK)
    return text


def _unknown(where: str, key: str, names: Iterable[str], known: Collection[str]) -> Iterator[Problem]:
    for position, name in enumerate(names):
        if name not in known:
            there = ", ".join(sorted(known))
            yield Problem(
                where=f"{where}.{key}[{position}]", message=f"there is no '{name}'; there are {there}"
            )


def _grouping(where: str, notifier: AnyNotifier, labels: Collection[str]) -> Iterator[Problem]:
    names = notifier.group_by
    if names != (EACH,):
        yield from _unknown(where, "group_by", names, {*labels, EACH})
    if EACH in names and len(names) > 1:
        yield Problem(
            where=f"{where}.group_by",
            message=f"'{EACH}' tells of every alert by itself; give it alone, or only labels",
        )
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Problem(where=f"{where}.group_by", message=f"'{name}' is given twice")
    repeat_s = notifier.repeat_interval_s
    if repeat_s is not None and repeat_s < notifier.group_interval_s:
        yield Problem(
            where=f"{where}.repeat_interval_s",
            message=f"{repeat_s:g} is shorter than group_interval_s, {notifier.group_interval_s:g}; give at least"
            " that, or null to tell of nothing again",
        )


def _secrets(where: str, notifier: AnyNotifier, secrets: Mapping[str, str]) -> Iterator[Problem]:
    for key, text, is_secret in _texts(notifier):
        names = REFERENCE.findall(text)
        if is_secret and not names:
            yield Problem(
                where=f"{where}.{key}", message="this is a secret; give a reference, ${NOTIFIER_...}"
            )
        for name in names:
            if not VARIABLE.fullmatch(name):
                yield Problem(
                    where=f"{where}.{key}",
                    message=f"${{{name}}}: only variables NOTIFIER_... can be referred to",
                )
            elif name not in secrets:
                text = f"the variable {name} is not set in the health service's environment"
                yield Problem(where=f"{where}.{key}", message=text)


def _texts(notifier: AnyNotifier) -> Iterator[tuple[str, str, bool]]:
    """Key, value, and whether it must not stand there in plain text."""
    match notifier:
        case WebhookNotifier():
            yield "url", notifier.url, "@" in notifier.url.partition("//")[2].partition("/")[0]
            for name, value in notifier.headers.items():
                yield f"headers.{name}", value, name.lower() in SECRET_HEADERS
        case PagerDutyNotifier():
            yield "routing_key", notifier.routing_key, True
        case AppriseNotifier():
            yield "url", notifier.url, True
