"""Somebody asks to be forgotten: no table and no old file knows them afterwards."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from psycopg import sql

from orchestration.build import BuildReport
from orchestration.ingest.contracts import read_contracts
from orchestration.ingest.errors import LoadBusy
from orchestration.ingest.load import load_landing, only_load
from orchestration.privacy import erasure
from orchestration.privacy.erasure import ErasureError, Receipt, erase_requested, request_erasure
from orchestration.settings import DBT_PROJECT_DIR, Settings
from orchestration.transform import project_fingerprint, transform
from orchestration.warehouse.backup import KEPT_MARTS
from orchestration.warehouse.builds import building, parse_as_of
from orchestration.warehouse.database import engine
from orchestration.warehouse.postgres import OWNER, EmbeddedServer
from tests.conftest import TEST_DATABASE, administer, built_warehouse

IS_LONG = os.environ.get("JOURNEY_LONG") == "1"
KILLS, KILLED_BUILDS = (50, 8) if IS_LONG else (4, 1)
PATIENCE_SECONDS, LOOK_EVERY_SECONDS = 600, 0.02
MOST_SECONDS, MOST_SECONDS_OF_BUILD = 2.0, 20.0
"""How long an erasure, and the build around it, are let live at most after they began."""
ASKED_TEMPLATE = "journey_asked"
PSEUDONYM = re.compile(r"erased-[0-9a-f]{32}|\b[0-9a-f]{32}\b")
PSEUDONYMS = """
    select
        request_id,
        pseudonym,
        md5(concat(
            length(tenant_id), ':', tenant_id, '5:email', length(pseudonym) + 15, ':', pseudonym,
            '@erased.invalid'
        ))
    from ops.erasures
    order by request_id
"""
"""Which request each pseudonym, and the customer id that is minted from it, is of."""
ERASE = """
import os, signal, sys
import psycopg
from orchestration.privacy.erasure import erase_requested
from orchestration.settings import get_settings
from orchestration.warehouse.database import engine
database = engine(get_settings())
database.connect().close()
execute, done = psycopg.Cursor.execute, 0
fatal = int(sys.argv[1]) if len(sys.argv) > 1 else -1
def executed(cursor, *arguments, **options):
    global done
    if done == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
    done += 1
    return execute(cursor, *arguments, **options)
psycopg.Cursor.execute = executed
print("ready", flush=True)
erase_requested(database, get_settings())
if done == fatal:
    os.kill(os.getpid(), signal.SIGKILL)
print(done, flush=True)
"""
"""Carries out the requests; dies before the statement that it is told, or after the last one."""

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
PHONES_AGAIN = ("+49 172 2345678", "0049-172-2345678", "0172/2345678", PHONE_AS_WRITTEN)
REJECTED_AGAIN = (
    *(f"r-{number},,{phone},x,noon\n" for number, phone in enumerate(PHONES_AGAIN)),
    "r-7,,,call 17 times +49 172 2345678 9-17 h,noon\n",
    f"r-8,<{MARA.upper()}>,,x,noon\n",
    f"r-9,,,mailto:{MARA}.,noon\n",
    "r-10,other@example.com,+49 172 2345679,x,noon\n",
)
"""Rows without an instant, of which all but the last show somebody forgotten."""
FORGOTTEN_AGAIN = f"""
    with again as (
        insert into ops.erasures
        select
            gen_random_uuid(), tenant_id, 'again', requested_at + interval '1 day', now(), outcome,
            null, 'erased-' || repeat('0', 32)
        from ops.erasures
        where tenant_id = '{TENANT}' and starts_with(request_id, 'by-hand')
        order by decided_at
        limit 1
        returning erasure_id
    )

    insert into ops.erased_identifiers
    select known.tenant_id, known.identifier_hash, again.erasure_id, known.before + interval '1 day'
    from ops.erased_identifiers as known
    cross join again
    where known.tenant_id = '{TENANT}'
"""
FORGOTTEN_CUSTOMERS = """
    select tenant_id, customer_id, total_orders from marts.customers where is_erased order by 1, 2
"""
SEARCHED = ("raw", "seeds", "intermediate", "marts", "sync", "outbox", "ops")
MEANT_FOR_DESTINATIONS = "outbox.profile_deletions"
DERIVED_AND_TOUCHED = (
    *(f"marts.{mart}" for mart in KEPT_MARTS),
    *(f"intermediate.int_identity__{name}" for name in ("people", "identifiers", "derivation")),
)
WITHOUT_PEOPLE = {"coupons"}


@dataclass(frozen=True)
class Asked:
    """A warehouse whose last build knows who the people are that asked to be forgotten."""

    warehouse: tuple[Path, BuildReport]
    """Its home, and the report of the build that it was made from."""
    known: list[str]
    """What Mara is known by."""
    requests: int


@pytest.fixture(scope="module")
def asked(
    server: EmbeddedServer,
    warehouse: tuple[Path, BuildReport],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Asked]:
    """Mara has asked by hand, others in files, and a build has found out who they are."""
    name = sql.Identifier(ASKED_TEMPLATE)
    folder = tmp_path_factory.mktemp("asked")
    for settings in built_warehouse(server, warehouse, folder):
        database = engine(settings)
        known = identifiers_of(database, MARA)
        with database.begin() as connection:
            connection.exec_driver_sql(REJECTED_WITH_A_PHONE)
            connection.exec_driver_sql(SENT_TO_A_STRANGER)
        # the command was killed, and given again
        for _ in range(2):
            request_erasure(database, TENANT, email=MARA.upper())
        requests = 2 + write_requests(database, settings)
        assert build(database, settings, tested=False) == []
        database.dispose()
        template = sql.SQL("create database {} owner {} template {}").format(
            name, sql.Identifier(OWNER), sql.Identifier(TEST_DATABASE)
        )
        administer(server, template)
    yield Asked((folder / "home", warehouse[1]), known, requests)
    administer(server, sql.SQL("drop database {}").format(name))


@pytest.fixture
def opened(
    server: EmbeddedServer, asked: Asked, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], AbstractContextManager[Settings]]:
    """Opens copies of that warehouse, one at a time."""

    @contextmanager
    def copied() -> Iterator[Settings]:
        folder = tmp_path_factory.mktemp("copy")
        yield from built_warehouse(server, asked.warehouse, folder, ASKED_TEMPLATE)

    return copied


@pytest.fixture
def settings_asked(
    opened: Callable[[], AbstractContextManager[Settings]],
) -> Iterator[Settings]:
    """Settings of a copy that only this test sees."""
    with opened() as settings:
        yield settings


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
    asked: Asked, settings_asked: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: an e-mail that lives on in a table nobody thought of, a phone in a rejected row,
    money that goes with its owner, and a person whom yesterday's files bring back."""
    known, database = asked.known, engine(settings_asked)
    assert MARA in known
    assert len(known) > 3
    assert asked.requests > 2
    before, points_before = totals(database), points(database)
    payload = settings_asked.home / "outbox" / "shown" / "payloads.jsonl"
    payload.parent.mkdir(parents=True)
    payload.write_text(MARA)
    are_shown: list[bool] = []

    def erase(*arguments: Any) -> Receipt:
        are_shown.append(payload.exists())
        return erase_one(*arguments)

    erase_one = erasure._erase
    monkeypatch.setattr(erasure, "_erase", erase)
    receipts = build(database, settings_asked)
    # whoever is killed after the first request must not leave the files behind
    assert set(are_shown) == {False}
    assert {one.outcome for one in receipts} == {"erased"}
    assert len(receipts) == asked.requests
    of_mara, asked_before = (one for one in receipts if one.request_id.startswith("by-hand"))
    assert of_mara.rows["raw.shopify_orders"] > 0
    assert not asked_before.rows

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
        assert len(pseudonyms) >= len(receipts) - 1
        assert {row[:4] for row in pseudonyms} == {(None, None, None, False)}
        assert MARA in {email for email, _ in deletions}
        # whoever gave no e-mail is known to a destination by the phone
        assert any(phone for email, phone in deletions if email is None)

    with database.begin() as connection:
        # whoever came back and asked again has a second pseudonym, for what came between
        connection.exec_driver_sql(FORGOTTEN_AGAIN)
        forgotten = connection.exec_driver_sql(FORGOTTEN_CUSTOMERS).all()
        for source in read_contracts(DBT_PROJECT_DIR):
            connection.exec_driver_sql(f'truncate raw."{source}"')
        connection.exec_driver_sql("truncate raw.rejected_rows")
        connection.exec_driver_sql("truncate ops.loads")
    sent_again = Path(settings_asked.landing, TENANT, "leads", "again.csv")
    sent_again.write_text("id,email,phone,source,captured_at\n" + "".join(REJECTED_AGAIN))
    assert build(database, settings_asked, whole=True) == []
    assert traces(database, [*known, *PHONES_AGAIN]) == []
    with database.connect() as connection:
        kept = connection.exec_driver_sql(
            "select array_agg(content order by line) from raw.rejected_rows "
            "where file = 'aurora/leads/again.csv'"
        ).scalar_one()
    assert kept == ["(erased)"] * (len(REJECTED_AGAIN) - 1) + [REJECTED_AGAIN[-1].strip()]
    assert totals(database) == before
    with database.connect() as connection:
        assert connection.exec_driver_sql(FORGOTTEN_CUSTOMERS).all() == forgotten
    database.dispose()


def state_of(database: sqlalchemy.Engine) -> dict[str, Counter[str]]:
    """Every row that an erasure can touch, as text, with pseudonyms by the request they are of."""
    found = {}
    with database.connect() as connection:
        names = {
            name: request_id
            for request_id, pseudonym, customer_id in connection.exec_driver_sql(PSEUDONYMS)
            for name in (pseudonym, customer_id)
        }
        tables = [
            *DERIVED_AND_TOUCHED,
            *(
                f"{schema}.{table}"
                for schema in ("raw", "ops", "outbox")
                for table in sqlalchemy.inspect(connection).get_table_names(schema=schema)
            ),
        ]
        for table in tables:
            rows = connection.exec_driver_sql(
                "select (to_jsonb(whole) - '{decided_at, erasure_id}'::text[])::text "
                f"from {table} as whole"
            ).scalars()
            found[table] = Counter(
                PSEUDONYM.sub(lambda one: names.get(one[0], one[0]), row) for row in rows
            )
    return found


def erase_and_kill(settings: Settings, draw: random.Random, statement: int | None) -> None:
    """Carry out the requests in a process of its own, and kill that one.

    Before that statement of it, or some time after it began where none is named.
    """
    arguments = [] if statement is None else [str(statement)]
    process = subprocess.Popen(
        [sys.executable, "-c", ERASE, *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    try:
        process.wait(PATIENCE_SECONDS if statement is not None else draw.uniform(0, MOST_SECONDS))
    except subprocess.TimeoutExpired:
        process.kill()
    process.wait()
    process.stdout.close()
    assert process.returncode in (0, -signal.SIGKILL)


def count_statements(settings: Settings) -> int:
    """Carry out the requests undisturbed; how many statements that takes."""
    done = subprocess.run(
        [sys.executable, "-c", ERASE, "-1"], stdout=subprocess.PIPE, text=True, check=True
    )
    return int(done.stdout.splitlines()[-1])


@pytest.mark.long
def test_an_erasure_that_is_killed_and_run_again_ends_as_if_nothing_had_happened(
    opened: Callable[[], AbstractContextManager[Settings]],
) -> None:
    """Prevents: somebody half forgotten for good, a second receipt or pseudonym, a destination that
    is never told or told twice, and others who change along, because the process died within."""
    draw = random.Random(KILLS)
    with opened() as settings:
        statements = count_statements(settings)
        database = engine(settings)
        undisturbed = state_of(database)
        database.dispose()
    # of each four one at some instant; the others from the first statement to the last commit
    within = KILLS - KILLS // 4
    steps = [(number * statements) // (within - 1) for number in range(within)]
    for step in [*steps, *[None] * (KILLS // 4)]:
        with opened() as settings:
            shown = settings.home / "outbox" / "shown"
            shown.mkdir(parents=True)
            erase_and_kill(settings, draw, step)
            database = engine(settings)
            assert not shown.exists() or outcomes(database) == {}
            done_before = outcomes(database)
            receipts = erase_requested(database, settings)
            assert done_before.keys().isdisjoint(one.request_id for one in receipts)
            assert set(outcomes(database).values()) == {1}
            end = state_of(database)
            for table, rows in undisturbed.items():
                assert end[table] == rows, (step, table)
            database.dispose()


def outcomes(database: sqlalchemy.Engine) -> dict[str, int]:
    """How many receipts each request has."""
    with database.connect() as connection:
        rows = connection.exec_driver_sql(
            "select request_id, count(*) from ops.erasures group by request_id"
        )
        return {row[0]: row[1] for row in rows}


@pytest.mark.long
def test_a_build_that_is_killed_while_it_forgets_ends_with_the_next_ones(
    asked: Asked, opened: Callable[[], AbstractContextManager[Settings]]
) -> None:
    """Prevents: marts that show somebody forgotten for good, because the build that forgot them
    died before it derived anything, and the next one saw nothing new."""
    draw = random.Random(KILLED_BUILDS)
    command = [sys.executable, "-m", "orchestration.cli", "build", "--as-of", AS_OF.isoformat()]
    for number in range(KILLED_BUILDS):
        with opened() as settings:
            database = engine(settings)
            before, points_before = totals(database), points(database)
            # the first one dies with all its receipts, the others at any instant
            receipts = draw.randrange(asked.requests) if number else asked.requests
            seconds = draw.uniform(0, MOST_SECONDS_OF_BUILD) if number else 0
            process = subprocess.Popen(
                command,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            while len(outcomes(database)) < receipts and process.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(LOOK_EVERY_SECONDS)
            with suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            assert process.returncode in (0, -signal.SIGKILL)
            # who was not forgotten yet waits for a build that knows everybody
            build(database, settings, tested=False)
            if len(outcomes(database)) < asked.requests:
                build(database, settings, tested=False)
            assert set(outcomes(database).values()) == {1}
            assert len(outcomes(database)) == asked.requests
            assert traces(database, [*asked.known, PHONE_AS_WRITTEN]) == []
            assert totals(database) == before
            assert points(database).items() <= points_before.items()
            database.dispose()


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
