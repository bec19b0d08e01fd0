"""Requests for rewards: decided once, whoever asks at that moment, and followed to their end."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from multiprocessing.synchronize import Barrier

import pytest
import sqlalchemy

from orchestration.activation.gate import GateClosed
from orchestration.activation.redemptions import REASONS, RedemptionReport, decide_redemptions
from orchestration.settings import Settings
from orchestration.warehouse.builds import BuildRunning, building, hold_still
from orchestration.warehouse.database import engine
from tests.reference.histories import World
from tests.reference.seeds import Tenant
from tests.reference.warehouse import Project, Warehouse

from .conftest import Worlds
from .loyalty_files import arrive, order

COST, PIECES, PROCESSES = 100, 10, 50
DAY = timedelta(days=1)
AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
OFFER = """
    insert into intermediate.int_loyalty__rewards (
        tenant_id, reward_id, points_cost, reward_type, total_available, is_active
    )
    values ('aurora', 'last-pieces', %(cost)s, 'free_product', %(pieces)s, true)
"""
ASK = """
    insert into marts.reward_redemptions (
        tenant_id, request_id, customer_id, reward_id, requested_at, status
    )
    values ('aurora', %(request_id)s, %(customer_id)s, 'last-pieces', '2026-06-30T00:00:00Z',
        'requested')
"""
MEMBERS = """
    select customer_id from marts.loyalty_accounts
    where tenant_id = 'aurora'
    order by customer_id
    limit %(count)s
"""


def offer(
    database: sqlalchemy.Engine, customers: int, points: int, pieces: int | None
) -> list[str]:
    """A request of each process, spread over so many members with so many points each."""
    with database.begin() as connection:
        connection.exec_driver_sql("delete from outbox.redemption_decisions")
        connection.exec_driver_sql("delete from marts.reward_redemptions")
        connection.exec_driver_sql(OFFER, {"cost": COST, "pieces": pieces})
        members = connection.exec_driver_sql(MEMBERS, {"count": customers}).scalars().all()
        assert len(members) == customers
        connection.exec_driver_sql(
            "update marts.loyalty_accounts set points_balance = %(points)s "
            "where tenant_id = 'aurora' and customer_id = any(%(members)s)",
            {"points": points, "members": list(members)},
        )
        requests = [f"race-{number}" for number in range(PROCESSES)]
        for number, request_id in enumerate(requests):
            values = {"request_id": request_id, "customer_id": members[number % customers]}
            connection.exec_driver_sql(ASK, values)
    return requests


REWARD = """
    insert into intermediate.int_loyalty__rewards (
        tenant_id, reward_id, points_cost, reward_type, is_active, starts_at, ends_at, min_tier,
        min_orders, redemption_limit, total_available
    )
    values (
        'aurora', %(reward_id)s, %(cost)s, 'free_product', %(is_active)s, %(starts_at)s,
        %(ends_at)s, %(min_tier)s, %(min_orders)s, %(redemption_limit)s, %(total_available)s
    )
"""
ASKED_AT = datetime(2026, 6, 30, tzinfo=UTC)
TICK = timedelta(microseconds=1)
OFFERED: dict[str, dict[str, object]] = {
    "plain": {},
    "inactive": {"is_active": False},
    "begins-later": {"starts_at": ASKED_AT + TICK},
    "begins": {"starts_at": ASKED_AT},
    "is-over": {"ends_at": ASKED_AT},
    "ends-later": {"ends_at": ASKED_AT + TICK},
    "too-dear": {"cost": 2 * COST + 1},
    "all-points": {"cost": 2 * COST},
    "more-than-half": {"cost": COST + 1},
    "tier-above": {"min_tier": "canopy"},
    "own-tier": {"min_tier": "bloom"},
    "tier-below": {"min_tier": "seedling"},
    "four-orders": {"min_orders": 4},
    "three-orders": {"min_orders": 3},
    "once-each": {"redemption_limit": 1},
    "only-one": {"total_available": 1},
}
ASKED = (
    ("plain", 0, "plain", None),
    ("stranger", None, "plain", "unknown_customer"),
    ("no-such-reward", 1, "nothing", "unknown_or_inactive_reward"),
    ("inactive", 1, "inactive", "unknown_or_inactive_reward"),
    ("begins-later", 1, "begins-later", "outside_dates"),
    ("begins", 1, "begins", None),
    ("is-over", 2, "is-over", "outside_dates"),
    ("ends-later", 2, "ends-later", None),
    ("too-dear", 3, "too-dear", "insufficient_points"),
    ("all-points", 3, "all-points", None),
    ("first-half", 4, "more-than-half", None),
    ("second-half", 4, "more-than-half", "insufficient_points"),
    ("tier-above", 5, "tier-above", "tier_too_low"),
    ("own-tier", 5, "own-tier", None),
    ("tier-below", 6, "tier-below", None),
    ("four-orders", 7, "four-orders", "too_few_orders"),
    ("three-orders", 7, "three-orders", None),
    ("first-of-mine", 8, "once-each", None),
    ("second-of-mine", 8, "once-each", "personal_limit_reached"),
    ("of-another", 9, "once-each", None),
    ("the-one", 10, "only-one", None),
    ("one-too-many", 11, "only-one", "sold_out"),
)
"""Request, member, reward and the reason against it. Everybody has the points for two, the tier
bloom, and three orders."""


def redeem(settings: Settings, request_id: str, start: Barrier) -> None:
    """Decide one request when everybody is ready."""
    start.wait()
    decide_redemptions(settings, [request_id])


def race(settings: Settings, requests: list[str]) -> None:
    """Decide each request in a process of its own, all at the same moment."""
    context = multiprocessing.get_context("fork")
    start = context.Barrier(len(requests))
    processes = [context.Process(target=redeem, args=(settings, one, start)) for one in requests]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert {process.exitcode for process in processes} == {0}


def outcomes(database: sqlalchemy.Engine) -> dict[str | None, int]:
    """How many requests ended with each reason; None: granted."""
    with database.connect() as connection:
        rows = connection.exec_driver_sql(
            "select reason, count(*), count(distinct code) from outbox.redemption_decisions "
            "where request_id like 'race-%%' group by reason"
        ).all()
    assert all(codes == (count if reason is None else 0) for reason, count, codes in rows)
    return {reason: count for reason, count, _ in rows}


@pytest.fixture
def database_of_built(built: Settings) -> Iterator[sqlalchemy.Engine]:
    made = engine(built)
    yield made
    made.dispose()


def test_fifty_at_once_get_the_last_ten_pieces(
    built: Settings, database_of_built: sqlalchemy.Engine
) -> None:
    """Prevents an eleventh piece of ten, when all ask at the same moment."""
    race(built, offer(database_of_built, PROCESSES, COST, PIECES))
    assert outcomes(database_of_built) == {None: PIECES, "sold_out": PROCESSES - PIECES}


def test_fifty_requests_of_five_members_spend_what_they_have(
    built: Settings, database_of_built: sqlalchemy.Engine
) -> None:
    """Prevents a balance that is spent twice, when one person asks in many windows."""
    race(built, offer(database_of_built, 5, 3 * COST + 99, None))
    assert outcomes(database_of_built) == {None: 15, "insufficient_points": PROCESSES - 15}


def test_a_decision_is_written_once(built: Settings, database_of_built: sqlalchemy.Engine) -> None:
    """Prevents a second code for one request, or a refusal that turns with the next run."""
    offer(database_of_built, PROCESSES, COST, PIECES)
    first = decide_redemptions(built)
    assert (first.accepted, first.refused) == (PIECES, {"sold_out": PROCESSES - PIECES})
    assert decide_redemptions(built) == RedemptionReport(0, {})


def test_every_reason_is_seen_in_the_marts(
    built: Settings, database_of_built: sqlalchemy.Engine
) -> None:
    """Prevents a limit of a reward, or what was granted before, that the decision does not read."""
    with database_of_built.begin() as connection:
        connection.exec_driver_sql("delete from outbox.redemption_decisions")
        connection.exec_driver_sql("delete from marts.reward_redemptions")
        members = connection.exec_driver_sql(MEMBERS, {"count": 12}).scalars().all()
        connection.exec_driver_sql(
            "update marts.loyalty_accounts set points_balance = %(points)s, tier = 'bloom', "
            "total_orders = 3 where tenant_id = 'aurora'",
            {"points": 2 * COST},
        )
        none = dict.fromkeys(("starts_at", "ends_at", "min_tier", "min_orders"))
        none |= dict.fromkeys(("redemption_limit", "total_available"))
        for reward_id, demands in OFFERED.items():
            plain = {"reward_id": reward_id, "cost": COST, "is_active": True}
            connection.exec_driver_sql(REWARD, {**none, **plain, **demands})
        for request_id, member, reward_id, _ in ASKED:
            connection.exec_driver_sql(
                ASK.replace("'last-pieces'", "%(reward_id)s"),
                {
                    "request_id": request_id,
                    "customer_id": None if member is None else members[member],
                    "reward_id": reward_id,
                },
            )
    first_run = ["first-half", "first-of-mine", "the-one"]
    assert decide_redemptions(built, first_run).accepted == len(first_run)
    decide_redemptions(built)
    with database_of_built.connect() as connection:
        rows = connection.exec_driver_sql(
            "select request_id, reason from outbox.redemption_decisions"
        ).all()
    found = {row.request_id: row.reason for row in rows}
    assert found == {request_id: reason for request_id, _, _, reason in ASKED}
    assert {reason for reason in found.values() if reason} == set(REASONS)


def test_nothing_is_decided_on_marts_that_change(
    built: Settings, database_of_built: sqlalchemy.Engine
) -> None:
    """Prevents points that are counted twice, or not at all, between two marts of a build."""
    offer(database_of_built, PROCESSES, COST, PIECES)
    with building(database_of_built) as opened:
        with pytest.raises((BuildRunning, GateClosed)):
            decide_redemptions(built)
        with database_of_built.begin() as connection, pytest.raises(BuildRunning):
            hold_still(connection)
        opened.fail("stopped by the test")
    with pytest.raises(GateClosed, match="failed"):
        decide_redemptions(built)
    assert outcomes(database_of_built) == {}


REWARDS = """tenant_id,reward_id,reward_name,points_cost,reward_type,reward_value,product_id,\
min_tier,min_orders,redemption_limit,total_available,is_active,starts_at,ends_at
*,five-off,Five off,100,fixed_discount,5,,,,,,true,,
"""


@contextmanager
def rewards_of(project: Project) -> Iterator[None]:
    """Offer one reward to every drawn tenant."""
    seed = project.seeds / "rewards.csv"
    before = seed.read_text()
    seed.write_text(REWARDS)
    try:
        yield
    finally:
        seed.write_text(before)


def ask(request_id: str, email: str) -> dict[str, object]:
    return {
        "id": request_id,
        "email": email,
        "reward_id": "five-off",
        "requested_at": AS_OF - DAY,
    }


def statuses(warehouse: Warehouse) -> dict[str, tuple[str, int]]:
    """The status of each request, and the balance of who asked."""
    return {
        row["request_id"]: (row["status"], row["points_balance"])
        for row in warehouse.query(
            "select request_id, status, points_balance from marts.reward_redemptions "
            "left join marts.loyalty_accounts using (tenant_id, customer_id)"
        )
    }


def test_a_reward_is_followed_by_partial_builds_as_by_whole_ones(
    project: Project, worlds_warehouse: Worlds
) -> None:
    """Prevents a reward that somebody else's order used, or that ran out, from going unnoticed."""
    tenant = Tenant("rewards", "Europe/Berlin", "EUR", "DE")
    world = World(0, tenant, ((),))
    with rewards_of(project), worlds_warehouse([world]) as warehouse:
        bought = AS_OF - 100 * DAY
        arrive(
            warehouse,
            tenant,
            "shopify_orders",
            order("o-ada", "ada@example.com", bought),
            order("o-eve", "eve@example.com", bought),
        )
        arrive(
            warehouse,
            tenant,
            "redemption_requests",
            ask("used", "ada@example.com"),
            ask("unused", "ada@example.com"),
            ask("nobodys", "nobody@example.com"),
        )
        warehouse.build(AS_OF)
        assert statuses(warehouse)["used"] == ("requested", 350)
        report = decide_redemptions(warehouse.settings)
        assert (report.accepted, report.refused) == (2, {"unknown_customer": 1})
        before = warehouse.contents(("marts", "sync"))
        warehouse.build(AS_OF)
        assert warehouse.contents(("marts", "sync")) == before

        (code,) = (
            row["code"]
            for row in warehouse.query(
                "select code from outbox.redemption_decisions where request_id = 'used'"
            )
        )
        later = AS_OF + 2 * DAY
        by_another = order("o-bob", "bob@example.com", later - DAY, f" {code.lower()}")
        arrive(warehouse, tenant, "shopify_orders", by_another)
        warehouse.build(later)
        assert statuses(warehouse) == {
            "used": ("used", 150),
            "unused": ("pending", 150),
            "nobodys": ("refused", None),
        }

        warehouse.build(AS_OF + 30 * DAY)
        assert statuses(warehouse)["unused"] == ("refunded", 250)
        partial = warehouse.contents(("marts", "sync"))
        warehouse.build(AS_OF + 30 * DAY, full_refresh=True)
        assert warehouse.contents(("marts", "sync")) == partial


def test_a_merge_keeps_every_point(project: Project, worlds_warehouse: Worlds) -> None:
    """Prevents points or news that vanish or double when two members turn out to be one."""
    tenant = Tenant("merged", "Europe/Berlin", "EUR", "DE")
    with rewards_of(project), worlds_warehouse([World(0, tenant, ((),))]) as warehouse:
        bought = AS_OF - 3 * DAY
        hundred = {"total_price": Decimal(100)}
        arrive(
            warehouse,
            tenant,
            "shopify_orders",
            order("o-ada", "ada@example.com", bought) | hundred,
            order("o-eve", "eve@example.com", bought) | hundred,
        )
        bonus = {"id": "bonus", "email": "eve@example.com", "type": "earn_bonus", "points": 30}
        arrive(warehouse, tenant, "loyalty_adjustments", {**bonus, "occurred_at": bought})
        arrive(warehouse, tenant, "redemption_requests", ask("adas", "ada@example.com"))
        warehouse.build(AS_OF)
        accounts = "select points_balance, lifetime_points_earned from marts.loyalty_accounts "
        assert [row["points_balance"] for row in warehouse.query(accounts + "order by 1")] == [
            150,
            180,
        ]
        news = (
            "select message_id from intermediate.int_loyalty__news where purpose = 'points_earned'"
        )
        told = {row["message_id"] for row in warehouse.query(news)}
        assert len(told) == 5
        assert decide_redemptions(warehouse.settings).accepted == 1

        of_both = order("o-both", "eve@example.com", AS_OF) | {"total_price": Decimal(0)}
        arrive(
            warehouse,
            tenant,
            "shopify_orders",
            {**of_both, "customer": {"id": "1", "email": "ada@example.com"}},
        )
        warehouse.build(AS_OF + DAY)
        movements = warehouse.query(
            "select transaction_type, points from marts.points_transactions"
        )
        assert sorted((row["transaction_type"], row["points"]) for row in movements) == [
            ("earn_bonus", 30),
            ("earn_purchase", 100),
            ("earn_purchase", 100),
            ("earn_signup", 50),
            ("redeem_discount", -100),
        ]
        assert warehouse.query(accounts) == [
            {"points_balance": 180, "lifetime_points_earned": 280},
        ]
        assert statuses(warehouse) == {"adas": ("pending", 180)}
        assert {row["message_id"] for row in warehouse.query(news)} < told
