"""Somebody asks to be forgotten: no table and no old file knows them afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from orchestration.ingest.contracts import read_contracts
from orchestration.ingest.errors import LoadBusy
from orchestration.ingest.load import load_landing, only_load
from orchestration.privacy import erasure
from orchestration.privacy.erasure import ErasureError, Receipt, erase_requested, request_erasure
from orchestration.settings import DBT_PROJECT_DIR, Settings
from orchestration.transform import project_fingerprint, transform
from orchestration.warehouse.builds import building, parse_as_of
from orchestration.warehouse.database import engine

AS_OF = parse_as_of("2026-07-01T00:00:00Z")
TENANT, MARA = "aurora", "mara.lindqvist@example.com"
PHONE_AS_WRITTEN = "(0172) 23-456 78"
SENT_TO_A_STRANGER = """
    insert into outbox.deliveries (
        message_id, tenant_id, destination, operation, purpose, payload, state, created_at,
        updated_at
    )
    values (
        'gift-of-once', 'aurora', 'klaviyo', 'create_event', 'gift_delivery',
        '{"email": "Mara.Lindqvist@example.com"}', 'accepted', now(), now()
    )
"""
"""A gift that reached Mara when she was nobody's customer yet."""
REJECTED_WITH_A_PHONE = f"""
    insert into raw.rejected_rows (
        load_id, tenant_id, source, file, line, content, reasons, rejected_at
    )
    values (0, '{TENANT}', 'leads', 'aurora/leads/a.csv', 9, '1,,{PHONE_AS_WRITTEN}', '{{}}', now())
"""
SEARCHED = ("raw", "seeds", "intermediate", "marts", "sync", "outbox", "ops")
MEANT_FOR_DESTINATIONS = "outbox.profile_deletions"
WITHOUT_PEOPLE = {"coupons"}


@pytest.fixture
def database(built: Settings) -> Iterator[sqlalchemy.Engine]:
    made = engine(built)
    yield made
    made.dispose()


def build(
    database: sqlalchemy.Engine, settings: Settings, *, whole: bool = False, tested: bool = True
) -> list[Receipt]:
    """What a build does, without Dagster."""
    with building(database, AS_OF) as opened:
        load_landing(database, settings)
        receipts = erase_requested(database, settings)
        covered = opened.coverage_before(project_fingerprint(), [])
        transform(
            settings,
            AS_OF,
            since=None if whole else covered,
            select=() if tested else ["resource_type:seed", "resource_type:model"],
            with_tests_of_selected=tested,
        ).require_success()
        opened.succeed("whole")
    return receipts


def write_requests(database: sqlalchemy.Engine, settings: Settings) -> int:
    """Let two more people ask in files, days before a build put them into segments; how many."""
    with database.connect() as connection:
        people = connection.execute(
            sqlalchemy.text(
                """
                select distinct on (customers.tenant_id)
                    customers.tenant_id,
                    case when customers.tenant_id = 'kente' then customers.phone end as phone,
                    case when customers.tenant_id <> 'kente' then customers.email end as email
                from marts.customers
                inner join marts.segment_memberships as memberships
                    using (tenant_id, customer_id)
                where
                    memberships.removed_at is null
                    and customers.total_orders > 1
                    and coalesce(customers.email, '') <> :mara
                    and case when customers.tenant_id = 'kente' then customers.phone
                        else customers.email end is not null
                order by customers.tenant_id, customers.customer_id
                """
            ),
            {"mara": MARA},
        ).mappings()
        requests = [dict(one) for one in people]
    asked_at = (AS_OF - timedelta(days=5)).isoformat()
    for number, request in enumerate(requests):
        file = Path(settings.landing) / request.pop("tenant_id") / "erasure_requests" / "late.jsonl"
        file.parent.mkdir()
        file.write_text(json.dumps({**request, "id": f"r-{number}", "requested_at": asked_at}))
    return len(requests)


def identifiers_of(database: sqlalchemy.Engine, email: str) -> list[str]:
    with database.connect() as connection:
        rows = connection.execute(
            sqlalchemy.text(
                """
                select others.identifier
                from marts.customer_identities as asked
                inner join marts.customer_identities as others
                    on
                        asked.tenant_id = others.tenant_id
                        and asked.customer_id = others.customer_id
                where
                    asked.tenant_id = :tenant_id
                    and asked.identifier = :email
                    and others.identifier_type not in ('shop_phone', 'order_number')
                """
            ),
            {"tenant_id": TENANT, "email": email},
        )
        return sorted(row.identifier for row in rows)


def traces(database: sqlalchemy.Engine, values: list[str]) -> list[str]:
    """The tables in which one of the values stands anywhere."""
    found = []
    with database.connect() as connection:
        for schema in SEARCHED:
            for table in sqlalchemy.inspect(connection).get_table_names(schema=schema):
                name = f"{schema}.{table}"
                rows = connection.execute(
                    sqlalchemy.text(
                        f'select count(*) from "{schema}"."{table}" as whole'
                        " where exists (select 1 from unnest(cast(:values as text[])) as v"
                        " where strpos(lower(whole::text), lower(v)) > 0)"
                    ),
                    {"values": values},
                ).scalar_one()
                if rows and name != MEANT_FOR_DESTINATIONS:
                    found.append(f"{name}: {rows}")
    return found


def totals(database: sqlalchemy.Engine) -> dict[str, tuple[int, Decimal]]:
    with database.connect() as connection:
        rows = connection.exec_driver_sql(
            "select tenant_id, count(*), sum(net_amount_tenant) from marts.orders group by 1"
        )
        return {row[0]: (row[1], row[2]) for row in rows}


def points(database: sqlalchemy.Engine) -> dict[tuple[str, str], int]:
    """The balance of every member who is not a pseudonym."""
    with database.connect() as connection:
        rows = connection.exec_driver_sql(
            """
            select accounts.tenant_id, accounts.customer_id, accounts.points_balance
            from marts.loyalty_accounts as accounts
            inner join marts.customers using (tenant_id, customer_id)
            where not customers.is_erased
            """
        )
        return {(row[0], row[1]): row[2] for row in rows}


def test_somebody_forgotten_leaves_amounts_and_nothing_else(
    built: Settings, database: sqlalchemy.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: an e-mail that lives on in a table nobody thought of, a phone in a rejected row,
    money that goes with its owner, and a person whom yesterday's files bring back."""
    known = identifiers_of(database, MARA)
    assert MARA in known
    assert len(known) > 3
    before, points_before = totals(database), points(database)
    with database.begin() as connection:
        connection.exec_driver_sql(REJECTED_WITH_A_PHONE)
        connection.exec_driver_sql(SENT_TO_A_STRANGER)
    request_erasure(database, TENANT, email=MARA.upper())
    asked_in_files = write_requests(database, built)
    assert asked_in_files > 1

    # this one finds out who the person is
    assert build(database, built, tested=False) == []
    payload = built.home / "outbox" / "shown" / "payloads.jsonl"
    payload.parent.mkdir(parents=True)
    payload.write_text(MARA)
    are_shown: list[bool] = []

    def erase(*arguments: Any) -> Receipt:
        are_shown.append(payload.exists())
        return erase_one(*arguments)

    erase_one = erasure._erase
    monkeypatch.setattr(erasure, "_erase", erase)
    receipts = build(database, built)
    # whoever is killed after the first request must not leave the files behind
    assert set(are_shown) == {False}
    assert {one.outcome for one in receipts} == {"erased"}
    assert len(receipts) == asked_in_files + 1
    (of_mara,) = (one for one in receipts if one.request_id.startswith("by-hand"))
    assert of_mara.rows["raw.shopify_orders"] > 0

    assert traces(database, [*known, PHONE_AS_WRITTEN]) == []
    assert totals(database) == before
    assert points(database).items() <= points_before.items()
    with database.connect() as connection:
        pseudonyms = connection.exec_driver_sql(
            "select email, phone, first_name, email_subscribed, total_orders > 0"
            " from marts.customers where is_erased"
        ).all()
        deletions = connection.exec_driver_sql(
            f"select payload ->> 'email', payload ->> 'phone' from {MEANT_FOR_DESTINATIONS}"
        ).all()
        assert len(pseudonyms) >= len(receipts)
        assert {row[:4] for row in pseudonyms} == {(None, None, None, False)}
        assert MARA in {email for email, _ in deletions}
        # whoever gave no e-mail is known to a destination by the phone
        assert any(phone for email, phone in deletions if email is None)

    with database.begin() as connection:
        for source in read_contracts(DBT_PROJECT_DIR):
            connection.exec_driver_sql(f'truncate raw."{source}"')
        connection.exec_driver_sql("truncate raw.rejected_rows")
        connection.exec_driver_sql("truncate ops.loads")
    assert build(database, built, whole=True) == []
    assert traces(database, known) == []
    assert totals(database) == before


def test_a_request_that_names_nobody_is_refused(database: sqlalchemy.Engine) -> None:
    """Prevents: a typing error that is taken for a request carried out."""
    with pytest.raises(ErasureError, match="Name whom to forget"):
        request_erasure(database, TENANT)
    with pytest.raises(ErasureError, match=r"E\.164"):
        request_erasure(database, TENANT, phone="0170 1234567")
    with pytest.raises(ErasureError, match="not an e-mail"):
        request_erasure(database, TENANT, email="mara")


def test_a_request_by_hand_waits_for_the_load_that_runs(
    database: sqlalchemy.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: a load that is never derived, because a request with a higher number was committed
    before it, and a build took that number for all that there was."""
    monkeypatch.setattr("orchestration.ingest.load.LOCK_WAIT", "10ms")
    with database.connect() as other, only_load(other):
        with pytest.raises(LoadBusy, match="Another load is running"):
            request_erasure(database, TENANT, email=MARA)
        other.rollback()
    assert request_erasure(database, TENANT, email=MARA).startswith("by-hand")


def test_every_source_says_what_becomes_of_the_forgotten() -> None:
    """Prevents: a new source, or a new column with a name in it, that erasure does not know."""
    personal = {"email", "phone", "name", "mobile", "message", "customer", "profile", "address"}
    for source, contract in read_contracts(DBT_PROJECT_DIR).items():
        assert bool(contract.erasure) == (source not in WITHOUT_PEOPLE), source
        rules = contract.erasure
        if rules and all(rule.becomes for rule in rules):
            emptied = {name for rule in rules for name in rule.becomes}
            named = {
                column.name
                for column in contract.columns
                if any(word in column.name.lower() for word in personal)
            }
            assert named - emptied <= NOT_PERSONAL.get(source, set()), source


NOT_PERSONAL = {
    "shopify_orders": {"name", "source_name"},
    "eventbrite_attendees": {"ticket_class_name"},
    "humanitix_tickets": {"ticketTypeName"},
}
