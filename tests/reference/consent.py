"""Whether an address may be written to: the most restrictive of the sources' latest words."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from .records import Record, email_of, phone_of
from .seeds import Tenant

Address = tuple[str, str]
"""Channel and normalised address."""


def subscribed(records: Iterable[Record], tenant: Tenant, as_of: datetime) -> dict[Address, bool]:
    """What holds for every address that anything was said about."""
    words: dict[tuple[Address, str], list[tuple[datetime, bool]]] = {}

    def say(channel: str, text: str | None, source: str, at: datetime, is_yes: bool) -> None:
        address = email_of(text) if channel == "email" else phone_of(text, tenant.phone_region)
        if address is not None and at <= as_of:
            words.setdefault(((channel, address), source), []).append((at, is_yes))

    for record in records:
        values = record.values
        match record.source:
            case "consent_changes":
                text = values.get("email" if values["channel"] == "email" else "phone")
                say(values["channel"], text, "changes", record.seen_at, values["subscribed"])
            case "touchpoints" if values["type"] == "email_unsubscribe":
                say("email", values.get("email"), "changes", record.seen_at, False)
            case "klaviyo_profiles":
                for channel, column in (("email", "email"), ("sms", "phone_number")):
                    word = values.get(f"{channel}_consent")
                    at = values.get(f"{channel}_consent_at") or values["updated"]
                    if word is not None:
                        say(channel, values.get(column), "profiles", at, word == "subscribed")
    answers: dict[Address, bool] = {}
    for (address, _), said in words.items():
        last = max(at for at, _ in said)
        is_yes = all(yes for at, yes in said if at == last)
        answers[address] = answers.get(address, True) and is_yes
    return answers
