"""The log of intents and outcomes: one row of `outbox.deliveries` per message, in one state.

| state | what is true | leaves it for |
|---|---|---|
| (no row) | a sync model wants the message | dry_run, waiting, intended, skipped |
| dry_run | a dry run has shown it; nothing left the machine | waiting, intended, skipped |
| waiting | it was not sent, for the reason given, and is asked about again by the next delivery | intended, skipped |
| intended | a request with it is about to leave, or has left | accepted, rejected, unknown, waiting |
| unknown | a request left, and what became of it is not known | accepted, rejected, skipped |
| accepted | the destination took it, at `sent_at` | – |
| rejected | the destination refused it: the dead letters | unknown, by `journey sending replay` |
| skipped | it may not be sent any more, for the reason given | – |

Only `intended` may stand for a request under way, and only the holder of the tenant's lock makes
it. So when a delivery begins, a message that is still `intended` belongs to one that was killed: it
becomes `unknown`. An unknown message goes out again under the same message id, by a request of
which a repeat does no harm: one of its own, or one that moves many members of a list. That is all
that a crash needs.
"""  # noqa: E501

# ruff: noqa: S608
# Statements are put together from constants and the names of our own models; values are parameters.

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy
from sqlalchemy import text

from orchestration.activation.checks import WAITING, verdicts
from orchestration.activation.destinations.base import Outcome
from orchestration.activation.message import (
    DELETE_PROFILE,
    OUTPUTS,
    PURPOSES,
    SYNC_SCHEMA,
    Message,
)
from orchestration.warehouse.errors import JourneyError

SENDER_LOCK = 4_740_004
LOCK_TIMEOUT = "5s"

_COLUMNS = (
    "message_id",
    "tenant_id",
    "customer_id",
    "destination",
    "operation",
    "purpose",
    "payload",
    "not_before",
    "expires_at",
)
_MESSAGE = ", ".join([*(name for name in _COLUMNS if name != "payload"), "is_backfill", "attempts"])
"""What a Message is made of, beside the payload."""


class SendingError(JourneyError):
    """Messages cannot be sent as things stand."""


@dataclass(frozen=True)
class Decided:
    """A message of a page, and what was decided about it."""

    message: Message
    state: str
    reason: str | None
    campaign_id: str | None


@contextmanager
def sending(connection: sqlalchemy.Connection, tenant_id: str) -> Iterator[None]:
    """Be the only one who sends for this tenant, until the end of the block or of the process.

    Raises:
        SendingError: somebody else sends.
    """
    key = {"lock": SENDER_LOCK, "tenant_id": tenant_id}
    with connection.begin():
        connection.exec_driver_sql("set synchronous_commit = on")
        connection.exec_driver_sql(f"set lock_timeout = '{LOCK_TIMEOUT}'")
    try:
        with connection.begin():
            connection.execute(text("select pg_advisory_lock(:lock, hashtext(:tenant_id))"), key)
    except sqlalchemy.exc.OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != "55P03":
            raise
        raise SendingError(
            f"Another delivery sends for {tenant_id}. Two never do at once: wait for its end."
        ) from None
    try:
        with connection.begin():
            connection.exec_driver_sql("reset lock_timeout")
        yield
    finally:
        if not connection.invalidated:
            connection.rollback()
            with connection.begin():
                connection.execute(
                    text("select pg_advisory_unlock(:lock, hashtext(:tenant_id))"), key
                )


def settle_interrupted(connection: sqlalchemy.Connection, tenant_id: str, now: datetime) -> int:
    """What a killed delivery left under way is unknown; returns how many messages that are."""
    statement = text(
        """
        update outbox.deliveries
        set
            state = 'unknown',
            reason = 'the delivery that sent it was interrupted',
            attempts = attempts + 1,
            updated_at = :now
        where tenant_id = :tenant_id and state = 'intended'
        """
    )
    return connection.execute(statement, {"tenant_id": tenant_id, "now": now}).rowcount


def require_declared(connection: sqlalchemy.Connection, output: str, tenant_id: str) -> set[str]:
    """The destinations of the output's messages, all of whose purposes are declared.

    Raises:
        SendingError: a purpose is not.
    """
    model = OUTPUTS[output]
    rows = connection.execute(
        text(
            f"select distinct destination, purpose from {SYNC_SCHEMA}.{model} "
            "where tenant_id = :tenant_id "
            "union select destination, purpose from outbox.deliveries "
            "where tenant_id = :tenant_id and output = :output and state in ('unknown', 'waiting')"
        ),
        {"tenant_id": tenant_id, "output": output},
    )
    destinations: set[str] = set()
    for destination, purpose in rows:
        if (destination, purpose) not in PURPOSES:
            raise SendingError(
                f"{model} has messages of the purpose {purpose!r} for {destination}, which is not "
                "declared. Say in orchestration/activation/message.py, PURPOSES, whether it is "
                "marketing, transactional or internal."
            )
        destinations.add(str(destination))
    return destinations


def plan_page(
    connection: sqlalchemy.Connection,
    output: str,
    destination: str,
    build_id: UUID,
    after: str,
    limit: int,
    values: Mapping[str, Any],
) -> list[Decided]:
    """Decide about the next messages that are due, and write it down.

    The caller commits before any of those that are `intended` is sent.

    Args:
        connection: in a transaction.
        output: whose sync model.
        destination: only messages for it.
        build_id: the build that vouches for them.
        after: the last message id of the page before; empty for the first page.
        limit: most messages of the page.
        values: what `checks.parameters` made.
    """
    columns = ", ".join(f"messages.{name}" for name in _COLUMNS)
    names = ", ".join(_COLUMNS)
    candidates = f"""
        select {columns}, coalesce(known.attempts, 0) as attempts
        from {SYNC_SCHEMA}.{OUTPUTS[output]} as messages
        left join outbox.deliveries as known on messages.message_id = known.message_id
        where
            messages.tenant_id = :tenant_id
            and messages.destination = :destination
            and messages.message_id > :after
            and coalesce(messages.not_before <= :now, true)
            and coalesce(known.state in ('dry_run', 'waiting'), true)
        order by messages.message_id
        limit :limit
    """
    statement = f"""
    with {verdicts(candidates)},

    decided as (
        insert into outbox.deliveries (
            {names}, output, is_backfill, state, reason, build_id, created_at, updated_at
        )
        select
            {names},
            :output,
            is_old_news,
            case
                when verdict is null then 'intended'
                when verdict = any(:waiting) then 'waiting'
                else 'skipped'
            end,
            verdict,
            :build_id,
            :now,
            :now
        from judged
        on conflict (message_id) do update
        set
            customer_id = excluded.customer_id,
            payload = excluded.payload,
            not_before = excluded.not_before,
            expires_at = excluded.expires_at,
            output = excluded.output,
            is_backfill = excluded.is_backfill,
            state = excluded.state,
            reason = excluded.reason,
            build_id = excluded.build_id,
            updated_at = excluded.updated_at
        where deliveries.state in ('dry_run', 'waiting')
        returning *
    )

    select
        {_MESSAGE},
        cast(payload as text) as payload,
        state,
        reason,
        payload #>> '{{data,attributes,properties,campaign_id}}' as campaign_id
    from decided
    order by message_id
    """
    parameters = {
        **values,
        "output": output,
        "destination": destination,
        "build_id": build_id,
        "after": after,
        "limit": limit,
        "waiting": list(WAITING),
    }
    rows = connection.execute(text(statement), parameters).mappings()
    return [_decided(row) for row in rows]


def unknown_page(
    connection: sqlalchemy.Connection,
    output: str,
    destination: str,
    after: str,
    limit: int,
    values: Mapping[str, Any],
) -> list[Decided]:
    """The next messages whose fate is unknown; those that may no longer be sent become skipped.

    What would only wait is returned as `waiting`, and stays unknown in the outbox.
    """
    columns = ", ".join(_COLUMNS)
    candidates = f"""
        select {columns}, is_backfill, attempts
        from outbox.deliveries
        where
            tenant_id = :tenant_id
            and output = :output
            and destination = :destination
            and state = 'unknown'
            and message_id > :after
        order by message_id
        limit :limit
    """
    statement = f"""
    with {verdicts(candidates)},

    skipped as (
        update outbox.deliveries
        set state = 'skipped', reason = judged.reason, updated_at = :now
        from judged
        where
            deliveries.message_id = judged.message_id
            and judged.reason <> all(:waiting)
    )

    select
        {_MESSAGE},
        cast(payload as text) as payload,
        case
            when reason is null then 'unknown'
            when reason = any(:waiting) then 'waiting'
            else 'skipped'
        end as state,
        reason,
        campaign_id
    from judged
    order by message_id
    """
    parameters = {
        **values,
        "output": output,
        "destination": destination,
        "after": after,
        "limit": limit,
        "waiting": list(WAITING),
    }
    rows = connection.execute(text(statement), parameters).mappings()
    return [_decided(row) for row in rows]


def skip_unwanted(
    connection: sqlalchemy.Connection, output: str, tenant_id: str, now: datetime
) -> int:
    """Skip what waits although no model wants it any more; returns how many messages."""
    statement = f"""
        update outbox.deliveries
        set state = 'skipped', reason = 'no_longer_wanted', updated_at = :now
        where
            tenant_id = :tenant_id
            and output = :output
            and state = 'waiting'
            and not exists (
                select 1
                from {SYNC_SCHEMA}.{OUTPUTS[output]} as messages
                where
                    deliveries.tenant_id = messages.tenant_id
                    and deliveries.message_id = messages.message_id
            )
    """
    values = {"tenant_id": tenant_id, "output": output, "now": now}
    return connection.execute(text(statement), values).rowcount


def record(
    connection: sqlalchemy.Connection,
    outcomes: Iterable[tuple[Message, Outcome]],
    now: datetime,
) -> None:
    """Write down what became of messages; what surely did not arrive was no attempt."""
    rows = [(message.message_id, outcome.state, outcome.reason) for message, outcome in outcomes]
    ids, states, reasons = (list(column) for column in zip(*rows, strict=True))
    statement = """
        update outbox.deliveries
        set
            state = outcomes.state,
            reason = outcomes.reason,
            attempts = attempts + case when outcomes.state = 'waiting' then 0 else 1 end,
            sent_at = case when outcomes.state = 'accepted' then :now end,
            updated_at = :now
        from unnest(
            cast(:ids as text[]), cast(:states as text[]), cast(:reasons as text[])
        ) as outcomes (message_id, state, reason)
        where deliveries.message_id = outcomes.message_id
    """
    values = {"ids": ids, "states": states, "reasons": reasons, "now": now}
    connection.execute(text(statement), values)


def count_left(
    connection: sqlalchemy.Connection, output: str, tenant_id: str, now: datetime
) -> dict[tuple[str, str], tuple[int, int]]:
    """Per destination and purpose: messages not yet due, and due ones that nobody looked at."""
    rows = connection.execute(
        text(
            f"""
            select
                messages.destination,
                messages.purpose,
                count(*) filter (where messages.not_before > :now),
                count(*) filter (where coalesce(messages.not_before <= :now, true))
            from {SYNC_SCHEMA}.{OUTPUTS[output]} as messages
            left join outbox.deliveries as known on messages.message_id = known.message_id
            where
                messages.tenant_id = :tenant_id
                and coalesce(known.state = 'dry_run', true)
            group by messages.destination, messages.purpose
            """
        ),
        {"tenant_id": tenant_id, "now": now},
    )
    return {(row[0], row[1]): (row[2], row[3]) for row in rows}


def replay_rejected(
    connection: sqlalchemy.Connection, tenant_id: str, destination: str | None, now: datetime
) -> int:
    """Let the next delivery try the dead letters again; returns how many messages.

    A list knows the present only: a move that a later one has replaced stays refused.
    """
    statement = text(
        f"""
        update outbox.deliveries
        set state = 'unknown', reason = 'replayed: ' || reason, updated_at = :now
        where
            tenant_id = :tenant_id
            and state = 'rejected'
            and (cast(:destination as text) is null or destination = :destination)
            and (
                purpose <> 'segment_membership'
                or message_id in (
                    select moves.message_id
                    from {SYNC_SCHEMA}.{OUTPUTS["segments"]} as moves
                    where moves.tenant_id = :tenant_id
                )
            )
        """
    )
    values = {"tenant_id": tenant_id, "destination": destination, "now": now}
    return connection.execute(statement, values).rowcount


def deletions(connection: sqlalchemy.Connection, tenant_id: str, destination: str) -> list[Message]:
    """Whom the destination has yet to forget."""
    rows = connection.execute(
        text(
            """
            select
                message_id,
                tenant_id,
                cast(null as text) as customer_id,
                destination,
                :operation as operation,
                :operation as purpose,
                cast(
                    payload
                    || jsonb_build_object('id', message_id, 'type', cast(:operation as text))
                    as text
                ) as payload,
                cast(null as timestamptz) as not_before,
                cast(null as timestamptz) as expires_at
            from outbox.profile_deletions
            where tenant_id = :tenant_id and destination = :destination
            order by message_id
            """
        ),
        {"tenant_id": tenant_id, "destination": destination, "operation": DELETE_PROFILE},
    )
    return [Message(**row) for row in rows.mappings()]


def drop_deletions(connection: sqlalchemy.Connection, message_ids: Sequence[str]) -> None:
    """The destination has forgotten these."""
    statement = text("delete from outbox.profile_deletions where message_id = any(:ids)")
    connection.execute(statement, {"ids": list(message_ids)})


def _decided(row: sqlalchemy.RowMapping) -> Decided:
    values: dict[str, Any] = dict(row)
    state, reason = values.pop("state"), values.pop("reason")
    campaign_id = values.pop("campaign_id")
    return Decided(Message(**values), state, reason, campaign_id)
