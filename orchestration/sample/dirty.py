"""The rows that break their contract on purpose, each with the reasons it must be rejected for."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

from orchestration.sample.touchpoint_rows import touchpoint_table

MISSING = "missing"
BAD_NUMBER = "bad_number"
BAD_DATE = "bad_date"
BAD_BOOLEAN = "bad_boolean"
BAD_JSON = "bad_json"
NOT_ALLOWED = "not_allowed"
BROKEN_LINE = "broken_line"
FIELD_COUNT = "field_count"


class DirtyFact(NamedTuple):
    """One reason why one line must be rejected. `column` is empty when the whole line is broken."""

    tenant_id: str
    source: str
    file: str
    line: int
    column: str
    kind: str


@dataclass(frozen=True)
class DirtyRow:
    """One broken row: `values` by column, or `raw` as the line itself.

    `position` says whether it comes before all other rows of its file or after them.
    """

    tenant_id: str
    source: str
    file: str
    reasons: Mapping[str, str]
    values: Mapping[str, Any] = field(default_factory=dict)
    raw: str | None = None
    position: str = "first"

    def fits(self, file_format: str) -> bool:
        """Whether a file of that format can hold this mistake: Parquet columns have types."""
        return file_format == "csv" or (
            self.raw is None and set(self.reasons.values()) <= {MISSING, NOT_ALLOWED}
        )

    def facts(self, line: int) -> Iterator[DirtyFact]:
        """The reasons, for the line the row was written at; the file name comes later."""
        for column, kind in self.reasons.items():
            yield DirtyFact(self.tenant_id, self.source, self.file, line, column, kind)

    def text(self, columns: Sequence[str], *, is_json: bool) -> str:
        """The row as a line of its file."""
        if self.raw is not None:
            return self.raw + "\n"
        if is_json:
            return orjson.dumps(dict(self.values)).decode() + "\n"
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow([self.values.get(name) for name in columns])
        return line.getvalue()

    def table(self) -> pa.Table:
        """The row as a one-row touchpoint table; its time is ISO text in `values`."""
        values = dict(self.values)
        if values.get("occurred_at") is not None:
            values["occurred_at"] = datetime.fromisoformat(values["occurred_at"])
        return touchpoint_table([values])


def _variants(
    tenant_id: str,
    source: str,
    file: str,
    base: Mapping[str, Any],
    *mistakes: Mapping[str, tuple[Any, str]],
) -> Iterator[DirtyRow]:
    """Copies of a good row, each with the mistakes {column: (bad value, kind)} in it."""
    key = next(iter(base))
    for number, mistake in enumerate(mistakes, start=1):
        values = {**base, key: f"dirty-{source}-{number}"}
        values.update({column: value for column, (value, _) in mistake.items()})
        reasons = {column: kind for column, (_, kind) in mistake.items()}
        yield DirtyRow(tenant_id, source, file, reasons, values)


def _line(
    tenant_id: str, source: str, file: str, kind: str, raw: str, position: str = "last"
) -> DirtyRow:
    return DirtyRow(tenant_id, source, file, {"": kind}, raw=raw, position=position)


def _all() -> Iterator[DirtyRow]:
    when = "2025-04-01T09:30:00Z"
    address = "somebody@example.com"
    shopify = {
        "id": "",
        "name": "#dirty",
        "email": address,
        "created_at": when,
        "updated_at": when,
        "currency": "EUR",
        "financial_status": "paid",
        "total_price": "25.00",
    }
    yield from _variants(
        "aurora",
        "shopify_orders",
        "2025-q2",
        shopify,
        {"total_price": ("abc", BAD_NUMBER)},
        {"created_at": ("2026-02-30T10:00:00Z", BAD_DATE)},
        {"financial_status": ("payed", NOT_ALLOWED)},
        {"id": (None, MISSING)},
        {"currency": (None, MISSING), "total_price": ("12,50", BAD_NUMBER)},
        {"test": ("perhaps", BAD_BOOLEAN)},
    )
    yield _line(
        "aurora", "shopify_orders", "2025-q2", BROKEN_LINE, '{"id": 5999, "name": "#9', "first"
    )
    yield _line("aurora", "shopify_orders", "2025-q2", BROKEN_LINE, "[1, 2, 3]")

    eventbrite = {"id": "", "created": when, "changed": when}
    costs = {"gross": {"currency": "AUD", "value": 4500}}
    yield from _variants(
        "bluegum",
        "eventbrite_orders",
        "2025-q2",
        {**eventbrite, "email": address, "status": "placed", "costs": costs},
        {"costs": (None, MISSING)},
        {"status": ("paid", NOT_ALLOWED)},
        {"changed": ("soon", BAD_DATE), "status": ("", MISSING)},
    )
    yield _line("bluegum", "eventbrite_orders", "2025-q2", BROKEN_LINE, '{"id": "1"} {"id": "2"}')
    yield from _variants(
        "bluegum",
        "eventbrite_attendees",
        "2025-q2",
        {**eventbrite, "order_id": "1", "quantity": 1, "cancelled": False},
        {"quantity": ("two", BAD_NUMBER)},
        {"cancelled": ("nope?", BAD_BOOLEAN)},
        {"order_id": (None, MISSING)},
    )
    humanitix = {"_id": "", "createdAt": when, "updatedAt": when}
    yield from _variants(
        "bluegum",
        "humanitix_orders",
        "2025-q2",
        {**humanitix, "status": "complete", "currency": "AUD", "purchaseTotals": {"total": 10}},
        {"currency": (None, MISSING)},
        {"financialStatus": ("comped", NOT_ALLOWED)},
        {"createdAt": ("2025-13-01T00:00:00Z", BAD_DATE)},
    )
    yield from _variants(
        "bluegum",
        "humanitix_tickets",
        "2025-q2",
        {**humanitix, "orderId": "hx-1", "status": "complete", "price": 10},
        {"price": ("free", BAD_NUMBER)},
        {"status": ("lost", NOT_ALLOWED)},
    )
    yield _line("bluegum", "humanitix_tickets", "2025-q2", BROKEN_LINE, "not json at all")

    shop_order = {
        "id": "",
        "shop_id": "shop-akosua",
        "slug": "akosua-cloth",
        "phone_number": "0241234567",
        "total_price": "40.00",
        "currency": "GHS",
        "status": "paid",
        "created_at": when,
        "updated_at": when,
    }
    yield from _variants(
        "kente",
        "shop_orders",
        "2025-q2",
        shop_order,
        {"total_price": ("12,50", BAD_NUMBER)},
        {"status": ("paidd", NOT_ALLOWED)},
        {"created_at": ("2026-02-30T08:00:00Z", BAD_DATE)},
        {"shop_id": ("", MISSING), "currency": ("", MISSING)},
        {"total_price": ("NaN", BAD_NUMBER)},
    )
    yield _line("kente", "shop_orders", "2025-q2", FIELD_COUNT, "dirty-short,shop-akosua")
    yield _line("kente", "shop_orders", "2025-q2", FIELD_COUNT, "dirty-long" + ",x" * 30, "first")
    yield from _variants(
        "kente",
        "shop_visits",
        "2025-q2",
        {"id": "", "shop_id": "shop-akosua", "slug": "akosua-cloth", "accessed_at": when},
        {"slug": ("", MISSING)},
        {"accessed_at": ("yesterday", BAD_DATE)},
    )

    touchpoint = {
        "id": "",
        "email": address,
        "type": "page_view",
        "channel": "organic",
        "occurred_at": when,
    }
    yield from _variants(
        "aurora",
        "touchpoints",
        "2025-04",
        touchpoint,
        {"type": ("pageview", NOT_ALLOWED)},
        {"channel": ("tiktok", NOT_ALLOWED)},
        {"occurred_at": (None, MISSING)},
        {"type": (None, MISSING), "channel": ("telepathy", NOT_ALLOWED)},
        {"value": ("ten", BAD_NUMBER)},
        {"metadata": ("{broken", BAD_JSON)},
        {"occurred_at": ("2026-02-30 10:00:00Z", BAD_DATE)},
    )
    yield _line("aurora", "touchpoints", "2025-04", FIELD_COUNT, "dirty-short,,,")

    yield from _variants(
        "aurora",
        "leads",
        "2025-h1",
        {"id": "", "email": address, "source": "quiz", "captured_at": when},
        {"captured_at": ("", MISSING)},
        {"captured_at": ("31.04.2025", BAD_DATE)},
    )
    yield DirtyRow(
        "aurora",
        "leads",
        "2025-h1",
        {"captured_at": BAD_DATE},
        {**CORRECTED_LEAD, "captured_at": "2025-02-29T10:00:00Z"},
    )
    yield from _variants(
        "aurora",
        "klaviyo_profiles",
        "2025-h1",
        {"id": "", "email": address, "created": when, "updated": when},
        {"email_consent": ("yes", NOT_ALLOWED)},
        {"email_suppressed": ("perhaps", BAD_BOOLEAN)},
        {"created": ("", MISSING)},
    )
    yield from _variants(
        "aurora",
        "consent_changes",
        "2025-h1",
        {"id": "", "email": address, "channel": "email", "subscribed": "true", "changed_at": when},
        {"subscribed": ("maybe", BAD_BOOLEAN)},
        {"channel": ("fax", NOT_ALLOWED)},
    )
    yield from _variants(
        "aurora",
        "contacts",
        "all",
        {"id": "", "name": "Dirty Ltd", "ai_score": "50", "updated_at": when},
        {"ai_score": ("high", BAD_NUMBER)},
        {"updated_at": ("", MISSING)},
    )
    yield from _variants(
        "aurora",
        "client_journey_events",
        "all",
        {
            "id": "",
            "client_id": "client-000001",
            "stage": "lead",
            "event_type": "note",
            "occurred_at": when,
        },
        {"stage": ("onbording", NOT_ALLOWED)},
        {"metadata": ("{'sentiment': 'negative'}", BAD_JSON)},
        {"client_id": ("", MISSING), "event_type": ("", MISSING)},
    )
    yield from _variants(
        "aurora",
        "referrals",
        "all",
        {"id": "", "referral_code": "ABCD2345", "used_at": when},
        {"referral_code": ("", MISSING)},
    )
    yield from _variants(
        "aurora",
        "redemption_requests",
        "all",
        {"id": "", "email": address, "reward_id": "reward-mug", "requested_at": when},
        {"reward_id": ("", MISSING)},
    )
    yield from _variants(
        "aurora",
        "loyalty_adjustments",
        "all",
        {
            "id": "",
            "email": address,
            "type": "earn_bonus",
            "points": "50",
            "reason": "kindness",
            "occurred_at": when,
        },
        {"points": ("12.5", BAD_NUMBER)},
        {"type": ("present", NOT_ALLOWED)},
    )
    yield from _variants(
        "aurora",
        "gifts",
        "all",
        {"id": "", "recipient_email": address, "created_at": when},
        {"recipient_email": ("", MISSING)},
    )
    yield from _variants(
        "aurora",
        "gift_claims",
        "all",
        {"id": "", "gift_code": "GIFT-AAAA-BBBB", "claimed_at": when},
        {"claimed_at": ("", MISSING)},
    )
    yield from _variants(
        "aurora",
        "coupons",
        "2025-h1",
        {
            "id": "",
            "code": "DIRTY",
            "discount_type": "percentage",
            "value": "10",
            "status": "active",
        },
        {"value": ("", MISSING)},
        {"discount_type": ("percent", NOT_ALLOWED)},
        {"usage_limit": ("lots", BAD_NUMBER)},
        {"restricted_collections": ("grounding", BAD_JSON)},
    )
    yield DirtyRow(
        "aurora",
        "static_segment_members",
        "all",
        {"added_at": MISSING},
        {"segment_id": "press-list", "email": address},
    )
    yield from _variants(
        "aurora",
        "erasure_requests",
        "all",
        {"id": "", "email": address, "requested_at": when},
        {"requested_at": ("as soon as possible", BAD_DATE)},
    )


CORRECTED_LEAD = {
    "id": "lead-corrected",
    "email": "corrected.lead@example.com",
    "first_name": "Corrine",
    "last_name": "Ected",
    "phone": None,
    "source": "fair",
    "captured_at": "2025-02-28T10:00:00Z",
}
DIRTY_ROWS: tuple[DirtyRow, ...] = tuple(_all())
