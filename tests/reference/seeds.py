"""The business's numbers, read from the same seeds that the models read."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

EVERY_TENANT = "*"


@dataclass(frozen=True)
class Tenant:
    """One business, with the rules that it does not share."""

    tenant_id: str
    time_zone: str
    currency: str
    phone_region: str
    settings: dict[str, Decimal | None] = field(default_factory=dict)


@dataclass(frozen=True)
class ManualRule:
    """Two identifiers, as 'type:value', that a person ties together or keeps apart."""

    is_always: bool
    a: str
    b: str


@dataclass(frozen=True)
class IdentifierType:
    strength: int
    is_strong: bool
    cap: int | None


@dataclass(frozen=True)
class Span:
    """Points for a range of values; half-open, and None is no end."""

    points: int
    from_value: Decimal | None
    to_value: Decimal | None

    def holds(self, value: Decimal | int) -> bool:
        return (self.from_value is None or value >= self.from_value) and (
            self.to_value is None or value < self.to_value
        )


Rows = list[dict[str, str]]


class Seeds:
    """Every seed that decides something about a customer."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, Rows] = {}
        self.identifier_types = {
            row["identifier_type"]: IdentifierType(
                int(row["strength_order"]),
                row["is_strong"] == "true",
                int(row["cap"]) if row["cap"] else None,
            )
            for row in self._rows("identifier_types")
        }
        self.blocked = self._rows("blocked_identifiers")
        self.rates = sorted(
            (row["currency"], row["to_currency"], row["valid_from"], Decimal(row["rate"]))
            for row in self._rows("exchange_rates")
        )

    def setting(self, tenant: Tenant, name: str) -> Decimal | None:
        if name in tenant.settings:
            return tenant.settings[name]
        values = {row["setting"]: row["value"] for row in self._default_rows("tenant_settings")}
        return Decimal(values[name]) if values[name] else None

    def number(self, tenant: Tenant, name: str) -> Decimal:
        value = self.setting(tenant, name)
        assert value is not None, f"{name} has no value"
        return value

    def spans(self, dimension: str) -> list[Span]:
        return [
            Span(int(row["points"]), _number(row["min_value"]), _number(row["max_value"]))
            for row in self._default_rows("rfm_thresholds")
            if row["dimension"] == dimension
        ]

    def bands(self) -> list[tuple[str, int, int]]:
        return [
            (row["band"], int(row["min_score"]), int(row["max_score"]))
            for row in self._default_rows("lead_bands")
        ]

    def collections(self) -> list[str]:
        rows = self._default_rows("collections")
        return [
            row["collection"] for row in sorted(rows, key=lambda row: int(row["collection_order"]))
        ]

    def affinity_points(self, touchpoint_type: str) -> Decimal:
        points = {
            row["touchpoint_type"]: Decimal(row["points"])
            for row in self._default_rows("affinity_points")
        }
        return points.get(touchpoint_type, points["*other*"])

    def loyalty_tiers(self) -> Rows:
        return self._default_rows("loyalty_tiers")

    def segments(self) -> Rows:
        return self._default_rows("segment_definitions")

    def shop_buckets(self, dimension: str) -> list[tuple[str, Span]]:
        return [
            (row["bucket"], Span(0, _number(row["min_value"]), _number(row["max_value"])))
            for row in self._default_rows("shop_buckets")
            if row["dimension"] == dimension
        ]

    def client_stage_order(self) -> list[str]:
        rows = self._default_rows("client_stages")
        return [row["stage"] for row in sorted(rows, key=lambda row: int(row["stage_order"]))]

    def client_stage_weight(self, stage: str) -> int:
        rows = self._default_rows("client_stages")
        return next(int(row["score_weight"]) for row in rows if row["stage"] == stage)

    def risk_number(self, risk_factor: str, name: str) -> int:
        rows = self._default_rows("client_risk_factors")
        return next(int(row[name]) for row in rows if row["risk_factor"] == risk_factor)

    def risk_level(self, risk_count: int) -> dict[str, str]:
        reached = [
            row
            for row in self._default_rows("client_risk_levels")
            if int(row["min_risks"]) <= risk_count
        ]
        return max(reached, key=lambda row: int(row["min_risks"]))

    def client_action(self, kind: str, trigger: str) -> tuple[str, str] | None:
        """What a stage or a risk calls for, and why."""
        for row in self._default_rows("client_actions"):
            if (row["trigger_type"], row["trigger"]) == (kind, trigger):
                return row["action"], row["reason"]
        return None

    def rate(self, currency: str, to_currency: str, on: str) -> Decimal:
        if currency == to_currency:
            return Decimal(1)
        known = [
            rate
            for from_one, to_one, valid_from, rate in self.rates
            if (from_one, to_one) == (currency, to_currency) and valid_from <= on
        ]
        return known[-1]

    def _rows(self, seed: str) -> Rows:
        if seed not in self._read:
            with (self._folder / f"{seed}.csv").open(newline="") as opened:
                self._read[seed] = list(csv.DictReader(opened))
        return self._read[seed]

    def _default_rows(self, seed: str) -> Rows:
        return [row for row in self._rows(seed) if row["tenant_id"] == EVERY_TENANT]


def _number(text: str) -> Decimal | None:
    return Decimal(text) if text else None
