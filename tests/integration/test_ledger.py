"""The points of drawn members against a plain reading of the rules, movement by movement."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest

from orchestration.settings import SEEDS_DIR
from orchestration.transform import transform
from orchestration.warehouse.database import engine
from tests.reference.histories import World
from tests.reference.ledger import TAKEN_BACK, Event, replay
from tests.reference.loyalty import tiers
from tests.reference.seeds import Seeds, Tenant
from tests.reference.warehouse import Warehouse

from .conftest import Worlds

IS_LONG = os.environ.get("JOURNEY_LONG") == "1"
MEMBERS = 20_000 if IS_LONG else 400
BEGINNING, AS_OF = datetime(2024, 1, 1, tzinfo=UTC), datetime(2027, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TENANTS = (
    Tenant("berlin", "Europe/Berlin", "EUR", "DE"),
    Tenant("new-york", "America/New_York", "USD", "US"),
)
MODELS = [f"int_loyalty__{name}" for name in
          ("tier_steps", "returns", "balances", "movements", "accounts", "lots")]  # fmt: skip
RANKS = ("sign_up", "order", "review", "earn_birthday", "earn_bonus", "adjustment")
SHOWN = 5


@dataclass(frozen=True)
class Member:
    """A drawn member with the events in their order."""

    tenant: Tenant
    customer_id: str
    events: tuple[Event, ...]


@dataclass
class Found:
    """What the models say about one member: (instant, kind, source, net after), lots, the end."""

    changes: list[tuple[datetime, str, str, int]]
    open_lots: list[tuple[datetime, int]]
    balance: int
    last: tuple[str | None, int] | None


def rank(event: Event) -> tuple[datetime, int, str]:
    """At one instant giving comes before spending, and that before taking back."""
    if event.kind in RANKS:
        place = RANKS.index(event.kind)
    elif event.kind.startswith("unused"):
        place = 7
    elif event.kind.startswith("redeem"):
        place = 8
    else:
        place = 9 if event.kind == "refund" else 10
    return event.at, place, event.source_id


def draw(seed: int) -> Member:
    """Some orders with refunds, gifts of points and rewards, often at the same instant."""
    random = Random(seed)
    tenant = random.choice(TENANTS)
    instants = [
        BEGINNING + random.randrange(1000) * DAY + random.choice((0, 5, 23)) * DAY / 24
        for _ in range(6)
    ]
    instants.append(datetime(2024, 2, 29, random.choice((3, 12)), tzinfo=UTC))
    events: list[Event] = []
    value_changes: dict[str, tuple[Decimal, int]] = {}
    for number in range(random.randint(1, 9)):
        at = random.choice(instants)
        source_id = f"{seed}-{number}"
        kind = random.choice(
            ("order", "order", "order", "review", "adjustment", "redeem", "redeem", "earn_bonus")
        )
        if kind == "order":
            amount = Decimal(random.choice(("0", "0.99", "49.50", "100", "133.37", "600")))
            order = Event("order", f"order:{source_id}", at, 0, source_id, amount)
            value_changes[order.source_id] = (amount, 1)
            events.append(order)
            taken, parts = Decimal(0), random.choice((0, 0, 1, 2, 3))
            for part in range(parts):
                is_last = part == parts - 1 and random.random() < 0.6
                share = amount - taken if is_last else (amount - taken) / random.randint(2, 4)
                share = share.quantize(Decimal("0.01"))
                at += random.choice((0, 1, 30, 400)) * DAY
                back = Event(
                    random.choice(TAKEN_BACK) if is_last else "refund",
                    f"back:{source_id}:{part}", at, 0, source_id, amount, taken, taken + share,
                )  # fmt: skip
                taken += share
                value_changes[back.source_id] = (-share, -1 if is_last else 0)
                events.append(back)
        elif kind == "redeem":
            cost, what = random.choice((25, 100, 300)), random.choice(("discount", "product"))
            events.append(Event(f"redeem_{what}", source_id, at, -cost))
            if random.random() < 0.6:
                back_at = at + random.choice((30, 30, 30, 340)) * DAY
                events.append(Event(f"unused_{what}", source_id, back_at, cost))
        else:
            given = random.choice((-80, -20, 20)) if kind == "adjustment" else 25
            events.append(Event(kind, source_id, at, given))
    events = sorted((event for event in events if event.at <= AS_OF), key=rank)
    value, orders, counted = Decimal(0), 0, []
    for event in events:
        amount, order_count = value_changes.get(event.source_id, (Decimal(0), 0))
        value, orders = value + amount, orders + order_count
        counted.append(replace(event, lifetime_value=value, total_orders=orders))
    return Member(tenant, f"member-{seed}", tuple(counted))


def rows_of(members: Sequence[Member]) -> Iterator[tuple[object, ...]]:
    """Rows of int_loyalty__events."""
    for member in members:
        losing = {event.order_id for event in member.events if event.kind in TAKEN_BACK}
        orders = [one.order_id for one in member.events if one.kind == "order"]
        stored = [order_id for order_id in orders if order_id in losing]
        for number, event in enumerate(member.events, start=1):
            yield (
                member.tenant.tenant_id, member.customer_id, number, event.kind, event.source_id,
                event.order_id, event.at, event.given_points,
                int(event.order_amount) if event.kind == "order" else 0,
                event.order_amount, event.taken_before, event.taken_after,
                stored.index(event.order_id) + 1 if event.order_id in stored else None,
                event.lifetime_value, event.total_orders,
            )  # fmt: skip


def derive(warehouse: Warehouse, members: Sequence[Member], as_of: datetime) -> dict[str, Found]:
    """Let the models work on the events that have happened by `as_of`."""
    seen = [
        replace(member, events=tuple(event for event in member.events if event.at <= as_of))
        for member in members
    ]
    database = engine(warehouse.settings)
    with database.begin() as connection:
        connection.exec_driver_sql(
            "truncate intermediate.int_loyalty__events, intermediate.int_loyalty__members"
        )
        connection.exec_driver_sql(
            "update intermediate.int_identity__derivation "
            f"set as_of = '{as_of.isoformat()}', is_whole_derivation = true"
        )
        connection.exec_driver_sql(
            "insert into intermediate.int_loyalty__events (tenant_id, customer_id, event_number, "
            "event_type, source_id, order_id, occurred_at, given_points, base_points, "
            "order_amount, taken_before_amount, taken_after_amount, stored_number, "
            f"lifetime_value, total_orders) values ({', '.join(['%s'] * 15)})",
            list(rows_of(seen)),
        )
        connection.exec_driver_sql(
            "insert into intermediate.int_loyalty__members "
            "(tenant_id, customer_id, joined_at, drawn_code) "
            "select tenant_id, customer_id, min(occurred_at), 'anything' "
            "from intermediate.int_loyalty__events group by tenant_id, customer_id"
        )
    database.dispose()
    transform(
        warehouse.settings, as_of, select=MODELS, with_tests_of_selected=False
    ).require_success()
    found: dict[str, Found] = defaultdict(lambda: Found([], [], 0, None))
    for row in warehouse.query(
        "select customer_id, occurred_at, event_type, source_id, net_after "
        "from intermediate.int_loyalty__balances "
        "order by customer_id, occurred_at, change_order, event_number"
    ):
        source_id = row["source_id"]
        if row["event_type"] == "expire":
            source_id = source_id.partition(":")[2]
        found[row["customer_id"]].changes.append(
            (row["occurred_at"], row["event_type"], source_id, int(row["net_after"]))
        )
    for row in warehouse.query(
        "select customer_id, expires_at, remaining_points from intermediate.int_loyalty__lots "
        "where remaining_points > 0 order by customer_id, event_number"
    ):
        lot = (row["expires_at"], row["remaining_points"])
        found[row["customer_id"]].open_lots.append(lot)
    for row in warehouse.query(
        "select customer_id, balance_before, points, balance_after "
        "from intermediate.int_loyalty__movements order by customer_id, movement_number"
    ):
        member = found[row["customer_id"]]
        assert row["balance_before"] == member.balance >= 0
        member.balance = row["balance_after"]
        assert row["balance_before"] + row["points"] == row["balance_after"] >= 0
    for row in warehouse.query(
        "select customer_id, tier, lifetime_points_earned "
        "from intermediate.int_loyalty__tier_steps order by customer_id, event_number"
    ):
        found[row["customer_id"]].last = (row["tier"], row["lifetime_points_earned"])
    return found


@pytest.fixture(scope="module")
def warehouse(worlds_warehouse: Worlds) -> Iterator[Warehouse]:
    with worlds_warehouse([World(0, tenant, ((),)) for tenant in TENANTS]) as opened:
        opened.load_all()
        opened.build(AS_OF, marts=MODELS)
        yield opened


@pytest.mark.long
def test_points_are_what_a_plain_reading_says(warehouse: Warehouse) -> None:
    """Prevents a point too much or too little in any order of earning, spending and expiry."""
    members = [member for seed in range(MEMBERS) if (member := draw(seed)).events]
    known = tiers(Seeds(SEEDS_DIR))
    middle = AS_OF - 500 * DAY
    at_the_end, before = derive(warehouse, members, AS_OF), derive(warehouse, members, middle)
    wrong = []
    for member in members:
        expected = replay(member.events, known, member.tenant.time_zone, AS_OF)
        found = at_the_end[member.customer_id]
        steps = [(step.at, step.what, step.source_id, step.net) for step in expected.steps]
        lots = [(lot.expires_at, lot.left) for lot in expected.lots if lot.left]
        if (found.changes, found.open_lots, found.balance, found.last) != (
            steps,
            lots,
            max(expected.net, 0),
            (expected.tier, expected.lifetime_points),
        ):
            wrong.append(f"{member}\nexpected {expected}\nfound {found}")
        assert found.balance == sum(points for _, points in found.open_lots)
        # a day's build said the same of its day
        assert before[member.customer_id].changes == [
            change for change in found.changes if change[0] <= middle
        ]
    assert not wrong, f"{len(wrong)} of {len(members)}\n" + "\n\n".join(wrong[:SHOWN])
