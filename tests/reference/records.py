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
    """The version of one record that holds, and the load that first brought any version of it."""

    source: str
    record_id: str
    values: Values
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


def current_records(files: Iterable[tuple[str, Iterable[Values]]], as_of: datetime) -> list[Record]:
    """The records that a build sees; files are (source, rows) in the order of their loads."""
    versions: dict[tuple[str, str], list[Record]] = {}
    for load, (source, rows) in enumerate(files, start=1):
        for values in rows:
            known = versions.setdefault((source, values["id"]), [])
            first_load = known[0].first_load if known else load
            known.append(Record(source, values["id"], values, first_load))
    return [record for known in versions.values() for record in _holding(known, as_of)]


def _holding(versions: list[Record], as_of: datetime) -> list[Record]:
    """The newest version, if it is visible; among equals what was loaded last. Where the version
    is the record's only date, those that are not visible yet do not hide the one before, and the
    oldest says since when the record is known."""
    version = VERSION_COLUMNS.get(versions[0].source)
    if version == EVENT_TIMES[versions[0].source]:
        visible = [record for record in versions if record.seen_at <= as_of]
        known_since = min((record.seen_at for record in visible), default=None)
        versions = [replace(record, known_since=known_since) for record in visible]
    in_order = sorted(versions, key=lambda record: record.values[version]) if version else versions
    return [record for record in in_order[-1:] if record.seen_at <= as_of]


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
