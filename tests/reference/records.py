"""What is current: the landing files' rows after versions, visibility and normalising."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import phonenumbers

VERSION_COLUMNS = {
    "shopify_orders": "updated_at",
    "shop_orders": "updated_at",
    "klaviyo_profiles": "updated",
    "contacts": "updated_at",
    "coupons": "updated_at",
}
EVENT_TIMES = {
    "shopify_orders": "created_at",
    "shop_orders": "created_at",
    "shop_visits": "accessed_at",
    "touchpoints": "occurred_at",
    "leads": "captured_at",
    "klaviyo_profiles": "created",
    "consent_changes": "changed_at",
    "contacts": "updated_at",
    "client_journey_events": "occurred_at",
    "loyalty_adjustments": "occurred_at",
    "gifts": "created_at",
    "gift_claims": "claimed_at",
    "coupons": "updated_at",
}

Values = dict[str, Any]


@dataclass(frozen=True)
class Record:
    """A version of one record, its load, and the load that first brought any version of it."""

    source: str
    record_id: str
    values: Values
    load: int
    first_load: int
    known_since: datetime | None = None
    """The earliest date of the record's versions, where they are its only dates."""

    @property
    def seen_at(self) -> datetime:
        at: datetime = self.values[EVENT_TIMES[self.source]]
        return at

    @property
    def first_seen_at(self) -> datetime:
        return self.known_since or self.seen_at


Versions = list[Record]
Files = Iterable[tuple[str, Iterable[Values]]]


def versions_of(files: Files) -> list[Versions]:
    """Every record in all its versions; files are (source, rows) in the order of their loads."""
    known: dict[tuple[str, str], Versions] = {}
    for load, (source, rows) in enumerate(files, start=1):
        for values in rows:
            versions = known.setdefault((source, values["id"]), [])
            first_load = versions[0].first_load if versions else load
            versions.append(Record(source, values["id"], values, load, first_load))
    return list(known.values())


def current_records(records: Iterable[Versions], as_of: datetime) -> list[Record]:
    """The versions that a build sees: of each record the newest, if it is visible.

    Where the version is the record's only date, those to come do not hide the one before, and the
    oldest says since when the record is known.
    """
    current = []
    for versions in records:
        source = versions[0].source
        if VERSION_COLUMNS.get(source) == EVENT_TIMES[source]:
            visible = [version for version in versions if version.seen_at <= as_of]
            known_since = min((version.seen_at for version in visible), default=None)
            versions = [replace(version, known_since=known_since) for version in visible]
        current += [one for one in newest(versions) if one.seen_at <= as_of]
    return current


def shown_until(records: Iterable[Versions], as_of: datetime) -> list[Record]:
    """Every version there ever was, but those that are the newest and to come."""
    return [
        version
        for versions in records
        for version in versions
        for last in newest(versions)
        if version.values != last.values or last.seen_at <= as_of
    ]


def newest(versions: Versions) -> Versions:
    """By the source's own version, and of equals what was loaded last; one, or none of none."""
    column = VERSION_COLUMNS.get(versions[0].source) if versions else None
    in_order = sorted(versions, key=lambda one: one.values[column]) if column else versions
    return in_order[-1:]


def of_source(records: Iterable[Record], source: str) -> list[Record]:
    return [record for record in records if record.source == source]


def email_of(text: str | None) -> str | None:
    trimmed = (text or "").strip(" \t\r\n\u00a0")
    if not re.fullmatch(r".+@.+", trimmed, re.DOTALL):
        return None
    return unicodedata.normalize("NFC", trimmed.lower())


def phone_of(text: str | None, region: str) -> str | None:
    try:
        number = phonenumbers.parse(text or "", region)
    except phonenumbers.NumberParseException:
        return None
    reason = phonenumbers.is_possible_number_with_reason(number)
    if reason != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def text_of(text: str | None) -> str | None:
    return (text or "").strip(" ") or None


def first_and_other_words(name: str | None) -> tuple[str | None, str | None]:
    first, _, others = (text_of(name) or "").partition(" ")
    return first or None, text_of(others)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def nested(values: Mapping[str, Any], name: str) -> list[Values]:
    return list(values.get(name) or [])
