"""The code of every gift: drawn once, written once, never derived again.

Unlike what is decided about rewards, a code follows from nothing in the marts. It is drawn between
the load and the models, so that the build that first sees a gift can already deliver it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy

from orchestration.activation.codes import new_code
from orchestration.settings import Settings
from orchestration.warehouse.database import engine

PREFIX, CODE_GROUPS = "GIFT", 2


def mint_gift_codes(settings: Settings) -> int:
    """Give a code to every loaded gift that has none, a transaction per tenant.

    Returns how many codes were written. Whoever does the same at the same moment waits, and then
    finds nothing left to do.
    """
    database = engine(settings)
    try:
        with database.connect() as connection:
            tenants = connection.scalars(_TENANTS).all()
        minted = 0
        for tenant_id in tenants:
            with database.begin() as connection:
                connection.exec_driver_sql("set local synchronous_commit = on")
                minted += _mint(connection, tenant_id)
        return minted
    finally:
        database.dispose()


def new_gift_code() -> str:
    """A code like GIFT-K7QD-2MXA."""
    return f"{PREFIX}-{new_code(CODE_GROUPS)}"


def _mint(connection: sqlalchemy.Connection, tenant_id: str) -> int:
    """Draw until every gift of the tenant has a code; one that is taken is drawn again."""
    connection.execute(
        sqlalchemy.text("select pg_advisory_xact_lock(hashtextextended(:name, 0))"),
        {"name": f"gift codes of {tenant_id}"},
    )
    minted = 0
    while gifts := connection.scalars(_GIFTS, {"tenant_id": tenant_id}).all():
        minted += _offer(connection, tenant_id, gifts)
    return minted


def _offer(connection: sqlalchemy.Connection, tenant_id: str, gifts: Sequence[str]) -> int:
    values = {
        "tenant_id": tenant_id,
        "gifts": list(gifts),
        "codes": [new_gift_code() for _ in gifts],
        "created_at": datetime.now(UTC),
    }
    return len(connection.execute(_INSERT, values).all())


_TENANTS = sqlalchemy.text(
    """
    select distinct tenant_id
    from raw.gifts
    where
        _is_current
        and not exists (
            select 1
            from outbox.gift_codes
            where gifts.tenant_id = gift_codes.tenant_id and gifts.id = gift_codes.gift_id
        )
    order by tenant_id
    """
)
_GIFTS = sqlalchemy.text(
    """
    select id
    from raw.gifts
    where
        tenant_id = :tenant_id
        and _is_current
        and not exists (
            select 1
            from outbox.gift_codes
            where gifts.tenant_id = gift_codes.tenant_id and gifts.id = gift_codes.gift_id
        )
    order by id
    """
)
_INSERT = sqlalchemy.text(
    """
    insert into outbox.gift_codes (tenant_id, gift_id, code, created_at)
    select :tenant_id, gift_id, code, :created_at
    from unnest(cast(:gifts as text[]), cast(:codes as text[])) as drawn (gift_id, code)
    on conflict do nothing
    returning gift_id
    """
)
