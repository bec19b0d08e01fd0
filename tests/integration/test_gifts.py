"""Gifts: a code for each, drawn once, and claims with the very codes that were drawn."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier

import pytest
import sqlalchemy

from orchestration.activation import gift_codes
from orchestration.activation.gift_codes import mint_gift_codes
from orchestration.settings import Settings
from orchestration.warehouse.database import engine

GIFTS, PROCESSES = 40, 8
MAKE = """
    insert into raw.gifts (
        tenant_id, id, recipient_email, created_at, _load_id, _line, _loaded_at, _is_current
    )
    select
        tenant_id, 'gift-' || number, 'eve@example.com', '2026-05-01T00:00:00Z', 0, number,
        '2026-05-01T00:00:00Z', true
    from generate_series(1, %(gifts)s) as number, unnest(array['acme', 'other']) as tenant_id
"""


@pytest.fixture
def gifts(built: Settings) -> Iterator[sqlalchemy.Engine]:
    """A warehouse with gifts of two tenants that have no code yet."""
    made = engine(built)
    with made.begin() as connection:
        connection.exec_driver_sql(MAKE, {"gifts": GIFTS})
    yield made
    made.dispose()


def codes(database: sqlalchemy.Engine) -> dict[tuple[str, str], str]:
    """The code of each made gift."""
    with database.connect() as connection:
        rows = connection.exec_driver_sql(
            "select tenant_id, gift_id, code from outbox.gift_codes "
            "where tenant_id in ('acme', 'other')"
        ).all()
    return {(tenant_id, gift_id): code for tenant_id, gift_id, code in rows}


def mint_together(settings: Settings, start: Barrier) -> None:
    """Draw codes when everybody is ready."""
    start.wait()
    mint_gift_codes(settings)


def test_every_gift_gets_one_code_whoever_draws(built: Settings, gifts: sqlalchemy.Engine) -> None:
    """Prevents: a gift with two codes, or without any, when several programs draw at once."""
    context = multiprocessing.get_context("fork")
    start = context.Barrier(PROCESSES)
    drawing = [context.Process(target=mint_together, args=(built, start)) for _ in range(PROCESSES)]
    for process in drawing:
        process.start()
    for process in drawing:
        process.join()
    assert {process.exitcode for process in drawing} == {0}
    drawn = codes(gifts)
    assert len(drawn) == 2 * GIFTS
    assert mint_gift_codes(built) == 0
    assert codes(gifts) == drawn


def test_a_code_that_is_taken_is_drawn_again(
    built: Settings, gifts: sqlalchemy.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: a build that fails, or two gifts of a tenant with one code, by chance."""
    few = iter(f"GIFT-AAAA-AA{number // 3:02d}" for number in range(12 * GIFTS))
    monkeypatch.setattr(gift_codes, "new_gift_code", lambda: next(few))
    assert mint_gift_codes(built) == 2 * GIFTS
    for tenant_id in ("acme", "other"):
        own = [code for (tenant, _), code in codes(gifts).items() if tenant == tenant_id]
        assert len(set(own)) == len(own) == GIFTS
