"""What must hold across the rows of the seeds, beyond the declaration of each column.

Every rule is a pure function of sound seeds and yields what is wrong: seed, line, problem.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal

from orchestration.ingest.tenants import is_currency, tenant_faults
from orchestration.seeds.files import Row
from orchestration.seeds.identity import identity_rules

Seeds = Mapping[str, Sequence[Row]]
Problem = tuple[str, int, str]
Rule = Callable[[Seeds], Iterator[Problem]]

DEFAULT = "*"
"""Stands for every tenant that has no rows of its own."""
UNITS_OF_TIME, LONGEST_TIME = ("_days", "_months"), 36_500
"""Settings of time by the ends of their names, in whole units, and the most that a date can be
moved by."""
MAY_BE_EMPTY = ("vip_lapse_days",)
"""Settings whose rule an empty value switches off."""
RISK_NUMBERS = {
    "low_engagement": ("event_count", "window_days"),
    "late_invoices": (),
    "negative_sentiment": ("event_count", "window_events"),
    "slow_project_progress": ("window_days",),
    "low_feature_usage": ("event_count", "window_days"),
    "high_support_tickets": ("event_count", "window_days"),
}
"""The numbers that each risk factor of a client goes by."""
DISCOUNTS = ("percentage_discount", "fixed_discount")
LARGEST_PERCENTAGE = 100
BOUNDS = (
    ("min_lifetime_value", "max_lifetime_value"),
    ("min_orders", "max_orders"),
    ("min_days_since_purchase", "max_days_since_purchase"),
    ("min_days_inactive", "max_days_inactive"),
)
CRITERIA = (
    "stages",
    "collections",
    "min_lifetime_value",
    "max_lifetime_value",
    "min_orders",
    "max_orders",
    "min_days_since_purchase",
    "max_days_since_purchase",
    "lead_bands",
    "email_subscribed",
)
"""What a dynamic segment may ask."""


@dataclass(frozen=True)
class Range:
    """Values from `start` to below `end`; None means that there is no such end."""

    line: int
    start: Decimal | None
    end: Decimal | None


def is_true(value: str) -> bool:
    """What a required boolean says."""
    return value.lower() == "true"


def known_values(rows: Sequence[Row], column: str, tenant_id: str) -> set[str]:
    """The values of a column that a row of this tenant may name; a default row any tenant's."""
    is_per_tenant = column != "tenant_id" and any(row["tenant_id"] for row in rows)
    if is_per_tenant and tenant_id != DEFAULT:
        rows = for_tenant(rows, tenant_id)
    return {row[column] for row in rows}


def for_tenant(rows: Iterable[Row], tenant_id: str) -> list[Row]:
    """The tenant's own rows, or the default ones when it has none."""
    rows = list(rows)
    own = [row for row in rows if row["tenant_id"] == tenant_id]
    return own or [row for row in rows if row["tenant_id"] == DEFAULT]


def tenants(seeds: Seeds) -> Iterator[Problem]:
    """A tenant's time zone, currency and region are known."""
    for row in seeds["tenants"]:
        for problem in tenant_faults(row.values):
            yield "tenants", row.line, problem


def currencies(seeds: Seeds) -> Iterator[Problem]:
    """Rates and minor units are those of currencies."""
    for seed, columns in (
        ("exchange_rates", ("currency", "to_currency")),
        ("currency_minor_units", ("currency",)),
    ):
        for row in seeds[seed]:
            for column in columns:
                if not is_currency(row[column]):
                    yield seed, row.line, f"{column} {row[column]!r} is no ISO 4217 code like EUR"


def blocked_identifiers(seeds: Seeds) -> Iterator[Problem]:
    """Every pattern can match: values are compared in lower case, and a backslash takes a sign."""
    for row in seeds["blocked_identifiers"]:
        pattern = row["pattern"]
        if pattern != pattern.lower():
            yield _of_pattern(row, f"{pattern!r} never matches; write {pattern.lower()!r}")
        if (len(pattern) - len(pattern.rstrip("\\"))) % 2:
            yield _of_pattern(row, f"{pattern} ends in a backslash; write two for one")


def settings(seeds: Seeds) -> Iterator[Problem]:
    """Every setting is a number that can be reckoned with, or empty to switch its rule off."""
    for row in seeds["tenant_settings"]:
        setting, value = row["setting"], row.number("value")
        if value is None and setting not in MAY_BE_EMPTY:
            yield "tenant_settings", row.line, f"value: {setting} needs a number"
        if value is None or not setting.endswith(UNITS_OF_TIME):
            continue
        if value > LONGEST_TIME:
            yield "tenant_settings", row.line, f"value: {setting} {value} is above {LONGEST_TIME}"
        if value != value.to_integral_value():
            yield "tenant_settings", row.line, f"value: {setting} {value} is no whole number"


def rfm_thresholds(seeds: Seeds) -> Iterator[Problem]:
    """In every dimension, every value earns points once."""
    rows = seeds["rfm_thresholds"]
    for dimension in ("recency", "frequency", "monetary"):
        of_dimension = [row for row in rows if row["dimension"] == dimension]
        # days and orders are never below zero
        least = None if dimension == "monetary" else Decimal(0)
        for tenant_id in _tenants_and_default(seeds):
            ranges = [
                Range(row.line, row.number("min_value"), row.number("max_value"))
                for row in for_tenant(of_dimension, tenant_id)
            ]
            for line, problem in coverage_faults(ranges, least, None):
                yield "rfm_thresholds", line, f"{dimension}: {problem}"


def lead_bands(seeds: Seeds) -> Iterator[Problem]:
    """Every score that a tenant's weights and points can give has one band."""
    for tenant_id in _tenants_and_default(seeds):
        least, greatest = _possible_scores(seeds, tenant_id)
        ranges = [
            Range(row.line, Decimal(row["min_score"]), Decimal(row["max_score"]) + 1)
            for row in for_tenant(seeds["lead_bands"], tenant_id)
        ]
        if not ranges and tenant_id != DEFAULT:
            yield "lead_bands", 0, f"no band for tenant {tenant_id}; add rows for it, or for *"
        for line, problem in coverage_faults(ranges, least, greatest + 1):
            yield "lead_bands", line, problem


def shop_buckets(seeds: Seeds) -> Iterator[Problem]:
    """Every customer of a shop falls into one group of each dimension."""
    for dimension in ("purchase_frequency", "purchase_decay"):
        of_dimension = [row for row in seeds["shop_buckets"] if row["dimension"] == dimension]
        for tenant_id in _tenants_and_default(seeds):
            ranges = [
                Range(row.line, row.number("min_value"), row.number("max_value"))
                for row in for_tenant(of_dimension, tenant_id)
            ]
            for line, problem in coverage_faults(ranges, Decimal(0), None):
                yield "shop_buckets", line, f"{dimension}: {problem}"


def client_risk_factors(seeds: Seeds) -> Iterator[Problem]:
    """Every factor has the numbers that it goes by, and no others."""
    for row in seeds["client_risk_factors"]:
        for column in ("event_count", "window_days", "window_events"):
            is_wanted = column in RISK_NUMBERS[row["risk_factor"]]
            if is_wanted and not row[column]:
                yield _of_factor(row, f"{column}: {row['risk_factor']} needs a number")
            if row[column] and not is_wanted:
                yield _of_factor(row, f"{column}: {row['risk_factor']} goes by none; empty it")


def client_risk_levels(seeds: Seeds) -> Iterator[Problem]:
    """Every number of risks has a level."""
    for tenant_id in _tenants_and_default(seeds):
        levels = for_tenant(seeds["client_risk_levels"], tenant_id)
        if not any(int(row["min_risks"]) == 0 for row in levels):
            yield (
                "client_risk_levels",
                levels[0].line if levels else 0,
                f"min_risks: no level holds from 0 risks on for {tenant_id}; add one",
            )


def client_actions(seeds: Seeds) -> Iterator[Problem]:
    """A stage calls as a stage, a risk factor as a risk; only a tenant's own row may be empty."""
    for row in seeds["client_actions"]:
        is_risk = row["trigger"] in RISK_NUMBERS
        if is_risk != (row["trigger_type"] == "risk"):
            kind = "risk" if is_risk else "stage"
            yield "client_actions", row.line, f"trigger_type: {row['trigger']} is a {kind}"
        if not row["action"] and row["tenant_id"] == DEFAULT:
            yield "client_actions", row.line, "action: empty; leave the row out instead"


def loyalty_tiers(seeds: Seeds) -> Iterator[Problem]:
    """Every tier can be held: no higher one asks for nothing more."""
    for tenant_id in _tenants_and_default(seeds):
        own = for_tenant(seeds["loyalty_tiers"], tenant_id)
        for lower in own:
            for higher in own:
                if int(lower["tier_order"]) < int(higher["tier_order"]) and all(
                    (higher.number(minimum) or 0) <= (lower.number(minimum) or 0)
                    for minimum in ("min_points", "min_lifetime_value", "min_orders")
                ):
                    yield (
                        "loyalty_tiers",
                        lower.line,
                        f"{lower['tier_id']} is never held, because {higher['tier_id']} in line "
                        f"{higher.line} stands above it and asks for nothing more",
                    )


def bounds(seeds: Seeds) -> Iterator[Problem]:
    """No criterion of a segment or campaign asks for more than it allows."""
    for seed in ("segment_definitions", "winback_campaign_definitions"):
        for row in seeds[seed]:
            for minimum, maximum in BOUNDS:
                least, most = row.number(minimum), row.number(maximum)
                if least is not None and most is not None and least > most:
                    yield (
                        seed,
                        row.line,
                        f"{minimum} {least} is above {maximum} {most}, so nobody fits",
                    )


def quality_rules(seeds: Seeds) -> Iterator[Problem]:
    """No rule asks for what cannot be."""
    for row in seeds["quality_rules"]:
        least, most = row.number("minimum"), row.number("maximum")
        if least is not None and most is not None and least > most:
            problem = f"minimum {least} is above maximum {most}, so the rule never holds"
            yield "quality_rules", row.line, problem


def segments(seeds: Seeds) -> Iterator[Problem]:
    """A cooldown has its days, no criterion is passed over, and every list has one segment."""
    rows = seeds["segment_definitions"]
    for row in rows:
        if row["reentry_policy"] == "cooldown" and not row["reentry_cooldown_days"]:
            yield _of_segment(
                row, "reentry_cooldown_days: the policy cooldown needs a number of days"
            )
        if not is_true(row["is_dynamic"]):
            for criterion in filter(row.__getitem__, CRITERIA):
                yield _of_segment(
                    row,
                    f"{criterion}: a feed names the members of {row['segment_id']}, so that no "
                    "criterion is asked; leave it empty, or set is_dynamic to true",
                )
        if is_true(row["sync_enabled"]) and not row["klaviyo_list_id"]:
            yield _of_segment(row, "klaviyo_list_id: sync_enabled needs a list to keep in step")
    yield from _shared_lists(rows)


def _shared_lists(rows: Sequence[Row]) -> Iterator[Problem]:
    """Two segments of a tenant on one list would each remove the members of the other."""
    own = {(row["tenant_id"], row["segment_id"]) for row in rows}
    synced = [row for row in rows if row["klaviyo_list_id"] and is_true(row["sync_enabled"])]
    for row, other in itertools.combinations(synced, 2):
        tenants_named = {row["tenant_id"], other["tenant_id"]} - {DEFAULT}
        is_replaced = any(
            (tenant_id, default["segment_id"]) in own
            for tenant_id in tenants_named
            for default in (row, other)
            if default["tenant_id"] == DEFAULT
        )
        if (
            row["klaviyo_list_id"] == other["klaviyo_list_id"]
            and len(tenants_named) < 2
            and not is_replaced
        ):
            yield _of_segment(
                other,
                f"klaviyo_list_id: {row['segment_id']} in line {row.line} keeps "
                f"{row['klaviyo_list_id']} in step already",
            )


def campaigns(seeds: Seeds) -> Iterator[Problem]:
    """A discount has its value, and a campaign begins before it ends."""
    for row in seeds["winback_campaign_definitions"]:
        kind, value = row["incentive_type"], row.number("incentive_value")
        if kind in DISCOUNTS and value is None:
            yield _of_campaign(row, f"incentive_value: a {kind} needs a number")
        if kind == DISCOUNTS[0] and value is not None and value > LARGEST_PERCENTAGE:
            yield _of_campaign(row, f"incentive_value: {value} percent is above 100")
        if row["ends_at"] and instant(row["starts_at"]) >= instant(row["ends_at"]):
            yield _of_campaign(row, "ends_at is not after starts_at, so it never sends")


def rewards(seeds: Seeds) -> Iterator[Problem]:
    """A discount has its value, a product its id, a tier its tenant, and a start comes first."""
    for row in seeds["rewards"]:
        kind, value = row["reward_type"], row.number("reward_value")
        if kind in DISCOUNTS and value is None:
            yield "rewards", row.line, f"reward_value: a {kind} needs a number"
        if kind == DISCOUNTS[0] and value is not None and value > LARGEST_PERCENTAGE:
            yield "rewards", row.line, f"reward_value: {value} percent is above 100"
        if kind == "free_product" and not row["product_id"]:
            yield "rewards", row.line, "product_id: a free_product needs the product"
        starts, ends = row["starts_at"], row["ends_at"]
        if starts and ends and instant(starts) >= instant(ends):
            yield "rewards", row.line, "ends_at is not after starts_at, so nobody can have it"
    yield from _rewards_of_missing_tiers(seeds)


def _rewards_of_missing_tiers(seeds: Seeds) -> Iterator[Problem]:
    """A default reward may name a tier that a tenant with tiers of its own does not have."""
    for tenant in seeds["tenants"]:
        tenant_id = tenant["tenant_id"]
        tiers = {row["tier_id"] for row in for_tenant(seeds["loyalty_tiers"], tenant_id)}
        for row in for_tenant(seeds["rewards"], tenant_id):
            if row["tenant_id"] == DEFAULT and row["min_tier"] and row["min_tier"] not in tiers:
                yield (
                    "rewards",
                    row.line,
                    f"min_tier: {tenant_id} has no tier {row['min_tier']!r}, so that anybody there "
                    "could have it; give that tenant the tier, or rewards of its own",
                )


def coverage_faults(
    ranges: Iterable[Range], least: Decimal | None, limit: Decimal | None
) -> Iterator[tuple[int, str]]:
    """Where ranges leave a value out or take one twice: the line, and the way out.

    Args:
        ranges: in any order.
        least: the least value that occurs; None when there is no such end.
        limit: the first value that is beyond everything that occurs; None likewise.
    """
    whole = []
    for one in ranges:
        if one.start is not None and one.end is not None and one.start >= one.end:
            yield one.line, f"holds nothing: it starts at {one.start} and ends before {one.end}"
        else:
            whole.append(one)
    whole.sort(key=lambda one: (one.start is not None, one.start or 0, one.line))
    if not whole:
        return
    first = whole[0]
    if first.start is not None and (least is None or first.start > least):
        way_out = "leave its start empty" if least is None else f"let it start at {least}"
        yield first.line, f"nothing covers values below {first.start}; {way_out}"
    furthest = first
    for one in whole[1:]:
        if one.start is None or furthest.end is None or one.start < furthest.end:
            end = "without end" if furthest.end is None else f"to below {furthest.end}"
            yield (
                one.line,
                f"overlaps line {furthest.line}, which goes on {end}; "
                "let one start where the other ends",
            )
        elif one.start > furthest.end:
            yield (
                one.line,
                f"nothing covers {furthest.end} to below {one.start}, between line "
                f"{furthest.line} and this one; let it start at {furthest.end}",
            )
        if furthest.end is not None and (one.end is None or one.end > furthest.end):
            furthest = one
    if furthest.end is not None and (limit is None or furthest.end < limit):
        way_out = "leave its end empty" if limit is None else f"let it go up to below {limit}"
        yield furthest.line, f"nothing covers values from {furthest.end} on; {way_out}"


def instant(text: str) -> datetime:
    """A value of a timestamptz column; without an offset it is in UTC."""
    iso = re.sub(r" ?(UTC|Z)$", "+00:00", text)
    value = datetime.fromisoformat(re.sub(r" ([+-])", r"\1", iso))
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _tenants_and_default(seeds: Seeds) -> list[str]:
    return [*(row["tenant_id"] for row in seeds["tenants"]), DEFAULT]


def _possible_scores(seeds: Seeds, tenant_id: str) -> tuple[Decimal, Decimal]:
    """The least and the greatest lead score, rounded as the database rounds."""
    weights = {
        row["setting"].removesuffix("_weight"): Decimal(row["value"])
        for owner in (DEFAULT, tenant_id)
        for row in seeds["tenant_settings"]
        if row["tenant_id"] == owner and row["setting"].endswith("_weight") and row["value"]
    }
    least = greatest = Decimal(0)
    for dimension, weight in weights.items():
        of_dimension = [row for row in seeds["rfm_thresholds"] if row["dimension"] == dimension]
        points = [int(row["points"]) for row in for_tenant(of_dimension, tenant_id)]
        least += weight * min(points)
        greatest += weight * max(points)
    whole = Decimal(1)
    return least.quantize(whole, ROUND_HALF_UP), greatest.quantize(whole, ROUND_HALF_UP)


def _of_segment(row: Row, problem: str) -> Problem:
    return "segment_definitions", row.line, problem


def _of_factor(row: Row, problem: str) -> Problem:
    return "client_risk_factors", row.line, problem


def _of_pattern(row: Row, problem: str) -> Problem:
    return "blocked_identifiers", row.line, f"pattern: {problem}"


def _of_campaign(row: Row, problem: str) -> Problem:
    return "winback_campaign_definitions", row.line, problem


RULES: tuple[tuple[tuple[str, ...], Rule], ...] = (
    (("tenants",), tenants),
    (("exchange_rates", "currency_minor_units"), currencies),
    (("blocked_identifiers",), blocked_identifiers),
    (("quality_rules",), quality_rules),
    (("tenant_settings",), settings),
    (("rfm_thresholds",), rfm_thresholds),
    (("lead_bands", "rfm_thresholds", "tenant_settings"), lead_bands),
    (("loyalty_tiers",), loyalty_tiers),
    (("shop_buckets",), shop_buckets),
    (("client_risk_factors",), client_risk_factors),
    (("client_risk_levels",), client_risk_levels),
    (("client_actions",), client_actions),
    (("segment_definitions", "winback_campaign_definitions"), bounds),
    (("segment_definitions",), segments),
    (("winback_campaign_definitions",), campaigns),
    (("rewards", "loyalty_tiers", "tenants"), rewards),
    (("identity_rules", "identifier_types", "tenants"), identity_rules),
)
"""Every rule with the seeds whose declarations must hold before it can be asked."""
