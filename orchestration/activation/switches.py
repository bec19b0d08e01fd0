"""What is stopped by hand: a row in `outbox.switches` holds until somebody takes it away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy
from sqlalchemy import text

ALL = "*"
"""Stands for every tenant, or every destination."""


@dataclass(frozen=True)
class Switch:
    """Nothing is sent for this tenant to this destination."""

    tenant_id: str
    destination: str
    reason: str
    stopped_at: datetime


def stop(connection: sqlalchemy.Connection, tenant_id: str, destination: str, reason: str) -> None:
    """Send nothing more, from the next request of a running delivery on, until `start`."""
    connection.execute(
        text(
            """
            insert into outbox.switches (tenant_id, destination, reason, stopped_at)
            values (:tenant_id, :destination, :reason, :stopped_at)
            on conflict (tenant_id, destination)
            do update set reason = excluded.reason, stopped_at = excluded.stopped_at
            """
        ),
        {
            "tenant_id": tenant_id,
            "destination": destination,
            "reason": reason,
            "stopped_at": datetime.now(UTC),
        },
    )


def start(connection: sqlalchemy.Connection, tenant_id: str, destination: str) -> int:
    """Take away what `stop` wrote with the same words; returns how many switches that were."""
    statement = text(
        "delete from outbox.switches where tenant_id = :tenant_id and destination = :destination"
    )
    values = {"tenant_id": tenant_id, "destination": destination}
    return connection.execute(statement, values).rowcount


def stopped(connection: sqlalchemy.Connection) -> Sequence[Switch]:
    """Everything that is stopped."""
    rows = connection.execute(
        text(
            """
            select tenant_id, destination, reason, stopped_at
            from outbox.switches
            order by tenant_id, destination
            """
        )
    )
    return [Switch(**row) for row in rows.mappings()]


def switch_against(
    connection: sqlalchemy.Connection, tenant_id: str, destination: str
) -> Switch | None:
    """The switch that stops this tenant's messages to the destination, if there is one."""
    for switch in stopped(connection):
        if switch.tenant_id in (ALL, tenant_id) and switch.destination in (ALL, destination):
            return switch
    return None
