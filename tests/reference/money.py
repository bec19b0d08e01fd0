"""What an order is worth at any instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

from .identity import Key, sightings_of
from .records import Record, Values, instant, nested, of_source, text_of
from .seeds import Seeds, Tenant

ZERO, CENT = Decimal("0.00"), Decimal("0.01")
COUNTED = ("paid", "partially_refunded")


@dataclass(frozen=True)
class Refund:
    """Money given back, with its share of the tenant's currency."""

    refund_id: str
    refunded_at: datetime
    amount: Decimal
    amount_tenant: Decimal
    is_full: bool


@dataclass
class Order:
    """An order as of the build; `at` methods go back in time."""

    order_id: str
    source: str
    source_order_id: str
    keys: tuple[Key, ...]
    ordered_at: datetime
    cancelled_at: datetime | None
    is_failed: bool
    is_paid: bool
    gross: Decimal
    discount: Decimal
    currency: str
    rate: Decimal = Decimal(1)
    refunds: list[Refund] = field(default_factory=list)
    line_collections: dict[str, Decimal] = field(default_factory=dict)
    shop_id: str | None = None
    codes: frozenset[str] = frozenset()
    customer_id: str = ""

    @property
    def owed(self) -> Decimal:
        return self.gross - self.discount

    @property
    def was_paid(self) -> bool:
        return self.is_paid and not self.is_failed

    @property
    def fully_refunded_at(self) -> datetime | None:
        return min((one.refunded_at for one in self.refunds if one.is_full), default=None)

    @property
    def ended_at(self) -> datetime | None:
        """When it stopped counting."""
        cancelled_at = self.cancelled_at and max(self.cancelled_at, self.ordered_at)
        ends = [end for end in (cancelled_at, self.fully_refunded_at) if end is not None]
        return min(ends, default=None) if self.was_paid else None

    def counts_at(self, at: datetime) -> bool:
        return (
            self.was_paid
            and self.ordered_at <= at
            and (self.ended_at is None or at < self.ended_at)
        )

    def worth_at(self, at: datetime) -> Decimal:
        """Net amount in the tenant's currency."""
        if not self.counts_at(at):
            return ZERO
        given_back = sum((one.amount_tenant for one in self.refunds if one.refunded_at <= at), ZERO)
        return rounded(self.owed * self.rate) - given_back

    @property
    def refunded(self) -> Decimal:
        return sum((one.amount for one in self.refunds), ZERO)

    @property
    def status(self) -> str:
        if self.cancelled_at is not None:
            return "cancelled"
        if self.is_failed:
            return "failed"
        if not self.is_paid:
            return "pending"
        if self.fully_refunded_at is not None:
            return "refunded"
        return "partially_refunded" if self.refunds else "paid"

    @property
    def is_counted(self) -> bool:
        return self.status in COUNTED

    @property
    def net(self) -> Decimal:
        return self.owed - self.refunded if self.is_counted else ZERO

    @property
    def collection(self) -> str | None:
        """The collection of most of its money."""
        ranked = sorted(self.line_collections.items(), key=lambda item: (-item[1], item[0]))
        return ranked[0][0] if ranked else None


def rounded(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


def orders_of(records: list[Record], tenant: Tenant, seeds: Seeds, as_of: datetime) -> list[Order]:
    """Every order but the test orders; whose they are is not known yet."""
    orders = [
        *(
            _shopify(record, as_of)
            for record in of_source(records, "shopify_orders")
            if not record.values.get("test")
        ),
        *(_shop(record, as_of) for record in of_source(records, "shop_orders")),
        *(_purchase(record, tenant) for record in unmatched_purchases(records)),
    ]
    for order, given_back, record in orders:
        owed, order.discount = rounded(order.gross - order.discount), rounded(order.discount)
        order.gross = owed + order.discount
        on = order.ordered_at.astimezone(ZoneInfo(tenant.time_zone)).date().isoformat()
        order.rate = seeds.rate(order.currency, tenant.currency, on)
        order.keys = sightings_of(record, tenant)[0].keys
        order.refunds = _dated(order, given_back, as_of)
    return [order for order, _, _ in orders]


def order_ids_of(records: list[Record]) -> set[str]:
    """Test orders included: somebody placed them."""
    return {
        *(f"shopify:{record.record_id}" for record in of_source(records, "shopify_orders")),
        *(f"shop:{record.record_id}" for record in of_source(records, "shop_orders")),
        *(f"touchpoint:{record.record_id}" for record in unmatched_purchases(records)),
    }


def unmatched_purchases(records: list[Record]) -> list[Record]:
    """Purchases that only touchpoints tell of: the earliest per order that they name."""
    known = {
        record.record_id for record in records if record.source in ("shopify_orders", "shop_orders")
    }
    earliest: dict[tuple[str, str], Record] = {}
    purchases = [
        record
        for record in of_source(records, "touchpoints")
        if record.values["type"] == "purchase"
    ]
    for record in sorted(purchases, key=lambda one: (one.seen_at, one.record_id)):
        key = purchase_key(record)
        if key[0] != "order" or key[1] not in known:
            earliest.setdefault(key, record)
    return list(earliest.values())


def purchase_key(record: Record) -> tuple[str, str]:
    """The order that a purchase touchpoint names, or itself."""
    reference = text_of(record.values.get("reference_id"))
    if text_of(record.values.get("reference_type")) == "order" and reference:
        return "order", reference
    return "touchpoint", record.record_id


GivenBack = list[tuple[datetime, str, Decimal]]


def _shopify(record: Record, as_of: datetime) -> tuple[Order, GivenBack, Record]:
    values = record.values
    total, discount = values["total_price"], values.get("total_discounts") or ZERO
    payments = [
        (instant(payment["processed_at"]), Decimal(payment["amount"]))
        for payment in nested(values, "transactions")
        if payment["kind"] in ("sale", "capture") and payment["status"] == "success"
    ]
    paid = [amount for paid_at, amount in payments if paid_at <= as_of]
    status = values["financial_status"]
    cancelled_at = values.get("cancelled_at")
    collections: dict[str, Decimal] = {}
    for line in nested(values, "line_items"):
        named = [
            one["value"] for one in line.get("properties") or [] if one["name"] == "collection"
        ]
        if named:
            amount = Decimal(line["price"]) * line["quantity"]
            amount -= Decimal(line.get("total_discount") or 0)
            collections[min(named)] = collections.get(min(named), ZERO) + amount
    order = Order(
        order_id=f"shopify:{record.record_id}",
        source="shopify",
        source_order_id=record.record_id,
        keys=(),
        ordered_at=values["created_at"],
        cancelled_at=cancelled_at if cancelled_at and cancelled_at <= as_of else None,
        is_failed=status in ("voided", "expired"),
        is_paid=(
            status in ("paid", "partially_refunded", "refunded") and len(paid) == len(payments)
        )
        or (bool(paid) and sum(paid) >= total),
        gross=total + discount,
        discount=discount,
        currency=values["currency"].strip().upper(),
        line_collections=collections,
        codes=frozenset(one["code"].strip().upper() for one in nested(values, "discount_codes")),
    )
    given_back = {
        refund["id"]: (instant(refund["created_at"]), refund["id"], _amount(refund))
        for refund in nested(values, "refunds")
        if _amount(refund) > 0
    }
    rest = total - sum((amount for _, _, amount in given_back.values()), ZERO)
    changed_at = values.get("updated_at") or values["created_at"]
    if status == "refunded" and (rest > 0 or not given_back):
        given_back["rest"] = (changed_at, "rest", rest)
    elif status == "partially_refunded" and not given_back:
        given_back["rest"] = (changed_at, "rest", ZERO)
    return order, list(given_back.values()), record


def _amount(refund: Values) -> Decimal:
    """What its transactions moved; the lines stand in only where there is no transaction."""
    if refund.get("transactions"):
        moved = [
            Decimal(one["amount"])
            for one in refund["transactions"]
            if one["kind"] == "refund" and one["status"] == "success"
        ]
    else:
        moved = [
            Decimal(one.get("subtotal") or 0) + Decimal(one.get("total_tax") or 0)
            for one in refund.get("refund_line_items") or []
        ]
    return sum(moved, ZERO)


def _shop(record: Record, as_of: datetime) -> tuple[Order, GivenBack, Record]:
    values = record.values
    status, changed_at = values["status"], values.get("updated_at") or values["created_at"]
    is_cancelled = status == "cancelled" and changed_at <= as_of
    order = Order(
        order_id=f"shop:{record.record_id}",
        source="shop",
        source_order_id=record.record_id,
        keys=(),
        ordered_at=values["created_at"],
        cancelled_at=changed_at if is_cancelled else None,
        is_failed=status == "failed",
        is_paid=status in ("paid", "partially_refunded", "refunded"),
        gross=values["total_price"],
        discount=ZERO,
        currency=values["currency"].strip().upper(),
        shop_id=values["shop_id"],
    )
    given_back: GivenBack = []
    if status in ("refunded", "partially_refunded"):
        whole = values["total_price"] if status == "refunded" else ZERO
        named = values.get("refunded_amount") or ZERO
        given_back = [(changed_at, record.record_id, max(whole, named))]
    return order, given_back, record


def _purchase(record: Record, tenant: Tenant) -> tuple[Order, GivenBack, Record]:
    collection = (record.values.get("collection") or "").strip()
    order = Order(
        order_id=f"touchpoint:{record.record_id}",
        source="touchpoint",
        source_order_id=record.record_id,
        keys=(),
        ordered_at=record.seen_at,
        cancelled_at=None,
        is_failed=False,
        is_paid=True,
        gross=record.values.get("value") or ZERO,
        discount=ZERO,
        currency=tenant.currency,
        line_collections={collection: ZERO} if collection else {},
    )
    return order, [], record


def _dated(order: Order, given_back: GivenBack, as_of: datetime) -> list[Refund]:
    """Refunds up to the build; their amounts are differences of rounded running totals."""
    refunds, exactly = [], ZERO
    for at, refund_id, amount in sorted(given_back):
        if at > as_of:
            continue
        before, exactly = rounded(exactly), exactly + amount
        so_far = rounded(exactly)
        refunds.append(
            Refund(
                refund_id=refund_id,
                refunded_at=max(at, order.ordered_at),
                amount=so_far - before,
                amount_tenant=rounded(so_far * order.rate) - rounded(before * order.rate),
                is_full=so_far >= order.owed,
            )
        )
    return refunds
