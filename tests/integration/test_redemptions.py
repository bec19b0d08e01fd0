"""Requests for rewards: decided once, whoever asks at that moment, and followed to their end."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier

import pytest
import sqlalchemy

from orchestration.activation.gate import GateClosed
from orchestration.activation.redemptions import RedemptionReport, decide_redemptions
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
