"""Requests for rewards: decided once, whoever asks at that moment, and followed to their end."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier

import pytest
import sqlalchemy

from orchestration.activation.gate import GateClosed
from orchestration.activation.redemptions import REASONS, RedemptionReport, decide_redemptions
from orchestration.settings import Settings
from orchestration.warehouse.builds import BuildRunning, building, hold_still
from orchestration.warehouse.database import engine

COST, PIECES, PROCESSES = 100, 10, 50
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
        connection.exec_driver_sql("set local journey.replaces = 'on'")
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
        connection.exec_driver_sql("set local journey.replaces = 'on'")
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
