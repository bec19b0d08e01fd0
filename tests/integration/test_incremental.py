"""However its files arrive and however often it is built, a warehouse says the same in the end.

Three warehouses hold the same drawn worlds: one was built again and again while the files arrived,
one was built once, and one loaded the files in another order. Every world is a tenant.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from tests.reference.histories import World, draw_world
from tests.reference.warehouse import KEYS, Warehouse
from tests.reference.winback import Delivery, Enrolment

from .conftest import Worlds

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
IS_LONG = os.environ.get("JOURNEY_LONG") == "1"
FIRST_SEED, WORLDS = 1_000_001, 200 if IS_LONG else 12
MOST_STEPS = 5 if IS_LONG else 3
DAY = timedelta(days=1)
BUILDS_AT = (
    [*(AS_OF - day * DAY for day in range(90, -1, -1)), AS_OF]
    if IS_LONG
    else [AS_OF - 31 * DAY, AS_OF]
)
"""When the first warehouse is built: day by day, and at last once more at the same instant."""
BUILT = ("marts", "sync")
KEPT_STATE: dict[str, tuple[str, ...]] = {
    "segment_memberships": (),
    "customer_redirects": (),
    "customer_splits": (),
    "sync_klaviyo__segment_memberships": (),
    "customer_segments": ("customer_count",),
}
"""What remembers earlier builds on purpose: whole tables, or columns of a table."""
NAMED_BY_ORDER = {
    "customer_identities": ("source",),
    "stage_transitions": ("transition_id",),
    "loyalty_accounts": ("referral_code",),
    "points_lots": ("lot_id",),
}
"""Columns that follow from which file came first or from the name of the tenant, beside the ids of
the customers."""
SHOWN = 6
NONE: Counter[str] = Counter()

Contents = Mapping[tuple[str, str], Counter[str]]
Spells = set[tuple[str, str, str]]


@dataclass(frozen=True)
class Warehouses:
    """What the three warehouses hold in the end."""

    worlds: list[World]
    step_by_step: Contents
    refreshed: Contents
    step_by_step_but_kept: Contents
    at_once: Contents
    reordered: Contents
    in_order: Contents
    open_step_by_step: Spells
    closed_step_by_step: Spells
    open_at_once: Spells


@pytest.fixture(scope="module")
def warehouses(worlds_warehouse: Worlds) -> Warehouses:
    worlds = [
        draw_world(
            seed,
            AS_OF,
            steps=2 + seed % (MOST_STEPS - 1),
            is_order_free=True,
            has_rules=not seed % 5,
        )
        for seed in range(FIRST_SEED, FIRST_SEED + WORLDS)
    ]
    with worlds_warehouse(worlds) as warehouse:
        days = {world: _days(world) for world in worlds}
        for day, as_of in enumerate(BUILDS_AT):
            for step in range(MOST_STEPS):
                arriving = [
                    world
                    for world in worlds
                    if step < len(world.steps) and days[world][step] == day
                ]
                if arriving:
                    warehouse.load((world, step) for world in arriving)
            warehouse.build(as_of)
            if day + 1 < len(BUILDS_AT):
                _campaign(warehouse, [world for world in worlds if _has_campaigns(world)], as_of)
        step_by_step = _of(worlds, warehouse.contents(BUILT))
        step_by_step_but_kept = _of(worlds, warehouse.contents(BUILT, KEPT_STATE))
        open_step_by_step = _spells(warehouse, is_open=True)
        closed_step_by_step = _spells(warehouse, is_open=False)
        warehouse.build(AS_OF, full_refresh=True)
        refreshed = _of(worlds, warehouse.contents(BUILT))
    others = [world.reordered(Random(world.seed)) for world in worlds]
    with worlds_warehouse([*worlds, *others]) as warehouse:
        warehouse.load_all()
        warehouse.build(AS_OF)
        names = _names(warehouse)
        return Warehouses(
            worlds=worlds,
            step_by_step=step_by_step,
            refreshed=refreshed,
            step_by_step_but_kept=step_by_step_but_kept,
            at_once=_of(worlds, warehouse.contents(BUILT, KEPT_STATE)),
            in_order=_named(worlds, warehouse, names),
            reordered=_named(others, warehouse, names),
            open_step_by_step=open_step_by_step,
            closed_step_by_step=closed_step_by_step,
            open_at_once=_of_tenants(worlds, _spells(warehouse, is_open=True)),
        )


def test_members_were_merged_on_the_way(warehouses: Warehouses) -> None:
    """Prevents the proofs below from saying nothing about points, gifts and uses that changed hands
    because nobody who had some was ever merged."""
    rows = warehouses.step_by_step
    for table in ("points_transactions", "gifts", "coupon_uses"):
        assert any(
            rows.get((world.tenant.tenant_id, f"marts.{table}"), NONE)
            for world in warehouses.worlds
            if rows.get((world.tenant.tenant_id, "marts.customer_redirects"), NONE)
        )


@pytest.mark.long
def test_a_full_refresh_changes_nothing(warehouses: Warehouses) -> None:
    """Prevents a row that only a rebuild from nothing would bring, change or take away."""
    require_equal(warehouses.worlds, warehouses.step_by_step, warehouses.refreshed)


@pytest.mark.long
def test_many_builds_end_where_one_build_does(warehouses: Warehouses) -> None:
    """Prevents yesterday's build, or the pieces in which files came, from showing in today's."""
    # who was enrolled is known to the outbox of one warehouse only
    worlds = [world for world in warehouses.worlds if not _has_campaigns(world)]
    step_by_step = _of(worlds, warehouses.step_by_step_but_kept)
    require_equal(worlds, step_by_step, _of(worlds, warehouses.at_once))


@pytest.mark.long
def test_open_spells_are_those_of_one_build(warehouses: Warehouses) -> None:
    """Prevents a member who no longer belongs; who left once may be kept out by a policy."""
    too_much = warehouses.open_step_by_step - warehouses.open_at_once
    missing = warehouses.open_at_once - warehouses.open_step_by_step
    assert not too_much
    assert not missing - warehouses.closed_step_by_step


@pytest.mark.long
def test_another_order_of_loads_only_renames_customers(warehouses: Warehouses) -> None:
    """Prevents the order in which files come from deciding who is who and what is true of them."""
    require_equal(warehouses.worlds, warehouses.in_order, warehouses.reordered)


def require_equal(worlds: list[World], one: Contents, other: Contents) -> None:
    """Fail with the rows of a world that differ, and with the world."""
    wrong = {tenant for tenant, table in _differing(one, other)}
    if not wrong:
        return
    smallest = min(
        (world for world in worlds if world.tenant.tenant_id in wrong),
        key=lambda world: len(world.rows()),
    )
    tenant_id = smallest.tenant.tenant_id
    lines = []
    for tenant, table in _differing(one, other):
        if tenant == tenant_id:
            first, second = one.get((tenant, table), NONE), other.get((tenant, table), NONE)
            lines += [f"{table}, only the first: {row}" for row in first - second][:SHOWN]
            lines += [f"{table}, only the second: {row}" for row in second - first][:SHOWN]
    arrivals = f"its steps arrive before the builds {_days(smallest)}"
    pytest.fail(
        f"{len(wrong)} of {len(worlds)} worlds differ; the smallest ({arrivals}):\n"
        + "\n".join([*lines, smallest.describe()])
    )


def _differing(one: Contents, other: Contents) -> list[tuple[str, str]]:
    keys = one.keys() | other.keys()
    return sorted(key for key in keys if one.get(key, NONE) != other.get(key, NONE))


def _days(world: World) -> list[int]:
    """Before which of the builds each step arrives; the first step may be late too."""
    random = Random(world.seed)
    return sorted(random.randrange(len(BUILDS_AT)) for _ in world.steps)


def _has_campaigns(world: World) -> bool:
    return world.seed % 3 == 0


def _campaign(warehouse: Warehouse, worlds: list[World], as_of: datetime) -> None:
    """Enrol some of those whom nobody enrolled, and write to some of those who wait.

    Some messages are recorded only after the next build, though they were sent before it.
    """
    people: dict[str, list[str]] = {}
    for row in warehouse.query("select tenant_id, customer_id from marts.customers order by 1, 2"):
        people.setdefault(row["tenant_id"], []).append(row["customer_id"])
    waiting: dict[str, list[Enrolment]] = {}
    for row in warehouse.query(
        "select * from outbox.campaign_enrolments as enrolments where not exists ("
        "select 1 from outbox.deliveries as deliveries "
        "where enrolments.tenant_id = deliveries.tenant_id "
        "and enrolments.customer_id = deliveries.customer_id) order by 1, 2, 3"
    ):
        enrolment = Enrolment(
            row["campaign_id"], row["customer_id"], row["enrolled_at"], row["is_held_out"]
        )
        waiting.setdefault(row["tenant_id"], []).append(enrolment)
    for world in worlds:
        tenant_id, random = world.tenant.tenant_id, Random(f"{world.seed} {as_of}")
        outbox: dict[Enrolment, Delivery | None] = {}
        for enrolment in waiting.get(tenant_id, []):
            sent_at = as_of - random.choice((0, 1, 20)) * DAY
            state = random.choice(("accepted", "skipped", "unknown"))
            outbox[enrolment] = None if enrolment.is_held_out else Delivery(state, sent_at)
        for campaign in world.campaigns:
            for customer_id in people.get(tenant_id, []):
                is_held_out = random.random() < 0.3
                enrolment = Enrolment(campaign.campaign_id, customer_id, as_of, is_held_out)
                is_sent = not is_held_out and random.random() < 0.6
                sent_at = as_of + random.choice((0, 1, 10, 40)) * DAY
                if random.random() < 0.4:
                    outbox[enrolment] = Delivery("accepted", sent_at) if is_sent else None
        warehouse.record(tenant_id, outbox)


def _spells(warehouse: Warehouse, *, is_open: bool) -> Spells:
    verb = "is" if is_open else "is not"
    return {
        (row["tenant_id"], row["segment_id"], row["customer_id"])
        for row in warehouse.query(
            f"select * from marts.segment_memberships where removed_at {verb} null"
        )
    }


def _names(warehouse: Warehouse) -> dict[str, str]:
    """A name for each customer that does not depend on what was loaded first."""
    names: dict[str, str] = {}
    for row in warehouse.query(
        "select customer_id, min(identifier_type || ':' || identifier) as name "
        "from marts.customer_identities group by customer_id"
    ):
        names[row["customer_id"]] = row["name"]
    return names


def _named(worlds: list[World], warehouse: Warehouse, names: Mapping[str, str]) -> Contents:
    """The marts that follow from the rules, with names for ids and the worlds' first names."""
    tenants = {world.tenant.tenant_id: f"w{world.seed:06d}" for world in worlds}
    marts = {f"marts.{table}" for table in KEYS}
    found: dict[tuple[str, str], Counter[str]] = {}
    leaving_out = {table: ("tenant_id", *NAMED_BY_ORDER.get(table, ())) for table in KEYS}
    for (tenant, table), rows in warehouse.contents(("marts",), leaving_out).items():
        if tenant in tenants and table in marts:
            found[tenants[tenant], table] = Counter()
            for row, count in rows.items():
                named = re.sub("[0-9a-f]{32}", lambda found: names.get(found[0], found[0]), row)
                found[tenants[tenant], table][named] += count
    return found


def _of(worlds: list[World], contents: Contents) -> Contents:
    tenants = {world.tenant.tenant_id for world in worlds}
    return {key: rows for key, rows in contents.items() if key[0] in tenants}


def _of_tenants(worlds: list[World], spells: Spells) -> Spells:
    tenants = {world.tenant.tenant_id for world in worlds}
    return {spell for spell in spells if spell[0] in tenants}
