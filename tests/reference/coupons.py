"""Coupons by a plain reading of the rules: one use after the other, each judged by those before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from .money import ZERO, Order, rounded
from .records import Record, Values, nested, of_source

Rows = dict[tuple[Any, ...], dict[str, Any]]
STATUSES = ("draft", "active", "paused", "expired", "depleted")


class Use:
    """A code on an order, with what a coupon may ask."""

    def __init__(self, order: Order, values: Values, code: str, is_first: bool) -> None:
        self.order, self.code, self.is_first = order, code, is_first
        self.at = order.ordered_at
        self.purchase = rounded(order.gross * order.rate)
        lines = nested(values, "line_items")
        self.pieces = sum(int(line["quantity"]) for line in lines) if lines else 1
        self.products = {str(line["product_id"]) for line in lines if line.get("product_id")}
        self.collections = {
            min(named).strip()
            for line in lines
            if (
                named := [one["value"] for one in line["properties"] if one["name"] == "collection"]
            )
        }
        told = [one for one in nested(values, "discount_codes") if _code(one) == code]
        amounts = [Decimal(one["amount"]) for one in told if one.get("amount") is not None]
        is_only = len({one["code"] for one in nested(values, "discount_codes")}) == 1
        discount = sum(amounts, ZERO) if amounts else order.discount if is_only else ZERO
        self.discount = rounded(discount * order.rate)


def add_coupons(
    tables: Mapping[str, Rows], orders: list[Order], records: list[Record], as_of: datetime
) -> None:
    """The rows of every mart about coupons."""
    by_id = {f"shopify:{one.record_id}": one.values for one in of_source(records, "shopify_orders")}
    coupons = of_source(records, "coupons")
    used: Counter[str] = Counter()
    had: Counter[tuple[str, str]] = Counter()
    rows: list[tuple[str | None, str, Use]] = []
    for use in _uses(orders, by_id):
        coupon = _meant(coupons, use)
        verdict = "unknown_code" if coupon is None else _verdict(coupon, use, used, had)
        if coupon is not None and verdict == "valid" and use.order.is_counted:
            used[coupon.record_id] += 1
            had[coupon.record_id, use.order.customer_id] += 1
        rows.append((coupon.record_id if coupon else None, verdict, use))
        tables["coupon_uses"][use.order.order_id, use.code] = {
            "coupon_id": coupon and coupon.record_id,
            "customer_id": use.order.customer_id,
            "used_at": use.at,
            "is_counted": use.order.is_counted,
            "verdict": verdict,
            "discount_amount": use.discount,
            "net_amount": use.order.worth_at(as_of),
        }
    counted = [row for row in rows if row[2].order.is_counted]
    statuses = Counter[str]()
    for coupon in coupons:
        own = [row for row in counted if row[0] == coupon.record_id]
        status = _status(coupon, used[coupon.record_id], as_of)
        statuses[status] += 1
        valid = [use for _, verdict, use in own if verdict == "valid"]
        tables["coupons"][coupon.record_id,] = {
            "code": _code(coupon.values),
            "status": status,
            "use_count": len(valid),
            "refused_count": len(own) - len(valid),
            "customer_count": len({use.order.customer_id for use in valid}),
            "discount_amount": sum((use.discount for use in valid), ZERO),
            "net_amount": sum((use.order.worth_at(as_of) for use in valid), ZERO),
            "last_used_at": max((use.at for use in valid), default=None),
        }
    verdicts = Counter(verdict for _, verdict, _ in counted)
    tables["coupon_overview"][()] = {
        "coupon_count": len(coupons),
        **{f"{status}_count": statuses[status] for status in STATUSES},
        "use_count": verdicts["valid"],
        "unknown_code_count": verdicts["unknown_code"],
        "refused_count": len(counted) - verdicts["valid"] - verdicts["unknown_code"],
        "discount_amount": sum((use.discount for _, one, use in counted if one == "valid"), ZERO),
        "refused_discount_amount": sum(
            (use.discount for _, one, use in counted if one != "valid"), ZERO
        ),
    }


def _code(values: Mapping[str, Any]) -> str:
    code: str = values["code"]
    return code.strip().upper()


def _uses(orders: list[Order], by_id: Mapping[str, Values]) -> Iterator[Use]:
    """Every code of every order, in the order of the orders."""
    bought: Counter[str] = Counter()
    for order in sorted(orders, key=lambda one: (one.ordered_at, one.order_id)):
        values = by_id.get(order.order_id, {})
        for code in sorted({_code(one) for one in nested(values, "discount_codes")} - {""}):
            yield Use(order, values, code, not bought[order.customer_id])
        bought[order.customer_id] += order.is_counted


def _meant(coupons: list[Record], use: Use) -> Record | None:
    """Of the coupons with this code the one whose dates hold the order, else the latest."""
    candidates = [coupon for coupon in coupons if _code(coupon.values) == use.code]
    candidates.sort(key=lambda one: one.record_id)
    candidates.sort(key=lambda one: one.seen_at, reverse=True)
    candidates.sort(key=lambda one: not _has_started(one, use.at) or _is_over(one, use.at))
    return candidates[0] if candidates else None


def _has_started(coupon: Record, at: datetime) -> bool:
    starts_at = coupon.values.get("starts_at")
    return starts_at is None or starts_at <= at


def _is_over(coupon: Record, at: datetime) -> bool:
    expires_at = coupon.values.get("expires_at")
    return expires_at is not None and expires_at <= at


def _verdict(coupon: Record, use: Use, used: Counter[str], had: Counter[tuple[str, str]]) -> str:
    values = coupon.values
    said = values["status"] if use.at >= coupon.seen_at else "active"
    limit, personal = values.get("usage_limit"), values.get("usage_limit_per_customer")
    pieces = [values.get("minimum_quantity") or 0]
    if values["discount_type"] == "buy_x_get_y":
        pieces.append(values.get("buy_quantity") or 0)
    collections = {str(one).strip() for one in values.get("restricted_collections") or ()}
    products = {str(one).strip() for one in values.get("restricted_products") or ()}
    against = {
        "not_active": values["status"] == "draft" or said == "paused",
        "not_yet_started": not _has_started(coupon, use.at),
        "expired": _is_over(coupon, use.at) or said == "expired",
        "usage_limit_reached": said == "depleted"
        or (limit is not None and used[coupon.record_id] >= limit),
        "minimum_purchase_not_met": use.purchase < (values.get("minimum_purchase_amount") or 0),
        "minimum_quantity_not_met": use.pieces < max(pieces),
        "not_first_order": bool(values.get("first_time_only")) and not use.is_first,
        "restricted": bool(collections or products)
        and not (collections & use.collections or products & use.products),
        "personal_limit_reached": personal is not None
        and had[coupon.record_id, use.order.customer_id] >= personal,
    }
    return next((verdict for verdict, holds in against.items() if holds), "valid")


def _status(coupon: Record, uses: int, as_of: datetime) -> str:
    said: str = coupon.values["status"]
    limit = coupon.values.get("usage_limit")
    if said == "draft":
        return said
    if said == "expired" or _is_over(coupon, as_of):
        return "expired"
    if said == "depleted" or (limit is not None and uses >= limit):
        return "depleted"
    return said
