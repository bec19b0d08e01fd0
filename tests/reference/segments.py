"""Who belongs to a segment now: every listed criterion holds, and an empty one does not filter."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from .seeds import Seeds


@dataclass(frozen=True)
class Traits:
    """What the criteria look at."""

    stage: str
    lead_band: str
    primary_collection: str | None
    lifetime_value: Decimal
    total_orders: int
    days_since_purchase: int | None
    is_email_subscribed: bool


LISTS = {"stages": "stage", "collections": "primary_collection", "lead_bands": "lead_band"}
RANGES = {
    "lifetime_value": "lifetime_value",
    "orders": "total_orders",
    "days_since_purchase": "days_since_purchase",
}


def memberships(traits: Traits, seeds: Seeds) -> set[str]:
    """The dynamic segments of one customer."""
    return {
        row["segment_id"]
        for row in seeds.segments()
        if row["is_active"] == "true" and row["is_dynamic"] == "true" and _belongs(traits, row)
    }


def _belongs(traits: Traits, row: dict[str, str]) -> bool:
    for column, name in LISTS.items():
        if row[column] and getattr(traits, name) not in row[column].split("|"):
            return False
    for column, name in RANGES.items():
        value, least, most = getattr(traits, name), row[f"min_{column}"], row[f"max_{column}"]
        if (least or most) and value is None:
            return False
        if (least and value < Decimal(least)) or (most and value > Decimal(most)):
            return False
    wanted = row["email_subscribed"]
    return not wanted or traits.is_email_subscribed == (wanted == "true")
