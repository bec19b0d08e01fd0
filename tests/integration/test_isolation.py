"""Who sees what: every role of the warehouse, tried on a warehouse that was really built."""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy
from psycopg import sql

from orchestration.settings import Settings
from orchestration.transform import transform
from orchestration.warehouse.builds import parse_as_of
from orchestration.warehouse.database import engine, parse_url, tenant_transaction
from orchestration.warehouse.roles import DASHBOARD, READER, SENDER, STAFF

Connection = psycopg.Connection[tuple[object, ...]]

AS_OF = parse_as_of("2026-07-01T00:00:00Z")
TENANTS = {"aurora", "bluegum", "kente"}
OWN = "aurora"
MEMBER, STRANGER = "reader_of_aurora", "reader_of_nobody"
PASSWORD = "known-to-the-test"
TENANTS_SEEN = "select distinct tenant_id from marts.customers"


@pytest.fixture(scope="module")
def owner(built_once: Settings) -> Iterator[Connection]:
    """The role that builds."""
    with connect(built_once) as connection:
        yield connection


@pytest.fixture(scope="module")
def readers(owner: Connection) -> Iterator[None]:
    """A login that is mapped to a tenant, and one that is not."""
    for login in (MEMBER, STRANGER):
        owner.execute(
            sql.SQL("create role {} login password {} in role {}").format(
                sql.Identifier(login), sql.Literal(PASSWORD), sql.Identifier(READER)
            )
        )
    owner.execute("insert into access.tenant_members values (%s, %s, now())", [MEMBER, OWN])
    yield
    owner.execute("delete from access.tenant_members")
    for login in (MEMBER, STRANGER):
        owner.execute(sql.SQL("drop role {}").format(sql.Identifier(login)))


def connect(settings: Settings, login: str | None = None) -> Connection:
    """A connection in autocommit mode, as the role that builds when no login is named."""
    assert settings.database_url is not None
    address = parse_url(settings.database_url.get_secret_value())
    if login is not None:
        known = settings.role_passwords.get(login)
        password = known.get_secret_value() if known else PASSWORD
        address = address.set(username=login, password=password)
    return psycopg.connect(
        address.set(drivername="postgresql").render_as_string(hide_password=False),
        autocommit=True,
    )


def column(connection: Connection, statement: str, *values: object) -> list[object]:
    return [row[0] for row in connection.execute(statement, values)]  # type: ignore[arg-type]


def marts(connection: Connection) -> list[str]:
    return [
        str(name)
        for name in column(
            connection,
            "select relname from pg_class where relnamespace = 'marts'::regnamespace "
            "and relkind in ('r', 'p', 'v', 'm', 'f') order by 1",
        )
    ]


def seen(connection: Connection) -> set[object]:
    """The tenants of which the connection sees a row in any mart."""
    statement = sql.SQL(" union ").join(
        sql.SQL("select tenant_id from marts.{}").format(sql.Identifier(mart))
        for mart in marts(connection)
    )
    return {row[0] for row in connection.execute(statement)}


@pytest.mark.usefixtures("readers")
def test_each_role_sees_its_rows_in_every_mart(built_once: Settings, owner: Connection) -> None:
    """Prevents: a mart that shows one business the customers of another."""
    expected = {MEMBER: {OWN}, STRANGER: set(), DASHBOARD: set(), STAFF: TENANTS, SENDER: TENANTS}
    assert seen(owner) == TENANTS
    for login, tenants in expected.items():
        with connect(built_once, login) as connection:
            assert marts(connection) == marts(owner)
            assert seen(connection) == tenants, login


@pytest.mark.usefixtures("readers")
def test_a_reader_sees_every_row_of_its_tenant(built_once: Settings, owner: Connection) -> None:
    """Prevents: policies that hide what belongs to the reader, so that its sums are too low."""
    with connect(built_once, MEMBER) as reader:
        for mart in marts(owner):
            count = sql.SQL("select count(*) from marts.{}").format(sql.Identifier(mart))
            own = sql.SQL("{} where tenant_id = {}").format(count, sql.Literal(OWN))
            assert reader.execute(count).fetchone() == owner.execute(own).fetchone(), mart


def test_the_dashboard_sees_one_tenant_for_one_transaction(built_once: Settings) -> None:
    """Prevents: a page that shows the tenant of whoever used the pooled connection before."""
    dashboard = engine(built_once, DASHBOARD)
    try:
        for tenant in sorted(TENANTS):
            with tenant_transaction(dashboard, tenant) as connection:
                assert set(connection.exec_driver_sql(TENANTS_SEEN).scalars()) == {tenant}
            with dashboard.connect() as connection:
                assert not list(connection.exec_driver_sql(TENANTS_SEEN).scalars())
        with (
            pytest.raises(sqlalchemy.exc.InternalError, match="read-only transaction"),
            tenant_transaction(dashboard, OWN) as connection,
        ):
            connection.exec_driver_sql("select lo_create(0)")
    finally:
        dashboard.dispose()


@pytest.mark.usefixtures("readers")
def test_the_policy_is_one_comparison_that_an_index_answers(
    built_once: Settings, owner: Connection
) -> None:
    """Prevents: a policy that is asked row by row, and reads every tenant's rows for one."""
    owner.execute("analyze marts.orders")
    query = "select * from marts.orders where order_id = 'some-order'"
    with connect(built_once, MEMBER) as reader:
        reader.execute("set enable_seqscan = off")
        plan = "\n".join(map(str, column(reader, f"explain {query}")))
    assert "Index Cond: ((tenant_id = (InitPlan 1).col1) AND (order_id = " in plan
    assert "Filter" not in plan


@pytest.mark.parametrize(
    ("accident", "found"),
    [
        ("drop policy rows_of_own_tenant on marts.orders", "marts.orders is not"),
        ("alter table marts.orders disable row level security", "marts.orders is not"),
        ("create policy easy on marts.orders using (true)", "marts.orders is not"),
        (
            "alter policy rows_of_own_tenant on marts.orders using (tenant_id is not null)",
            "marts.orders is not",
        ),
        ("revoke select on marts.orders from journey_reader", "marts.orders is not"),
        ("alter policy rows_of_own_tenant on ops.loads using (true)", "ops.loads is not"),
        ("create table marts.fresh as select 1 as tenant_id", "marts.fresh is not"),
        ("create view marts.shown as select * from marts.orders", "marts.shown is not"),
        ("create materialized view marts.kept as select 1 as one", "marts.kept is not"),
        ("grant select on marts.orders to public", "everybody may select"),
        ("grant insert on marts.orders to journey_reader", "journey_reader may insert"),
        ("grant select on raw.touchpoints to journey_staff", "journey_staff may select"),
        ("grant select (details) on ops.builds to journey_dashboard", "ops.builds.details"),
        ("grant usage on schema raw to journey_reader", "schema raw"),
        ("grant create on schema public to public", "schema public everybody"),
        (
            "create function marts.peek() returns bigint language sql security definer "
            "return (select count(*) from marts.orders); "
            "grant execute on function marts.peek() to journey_reader",
            "marts.peek()",
        ),
        (f"grant select on access.tenant_members to {MEMBER}", f"{MEMBER} may select"),
        ("insert into access.tenant_members values ('postgres', 'aurora', now())", "role postgres"),
    ],
)
@pytest.mark.usefixtures("readers")
def test_what_would_open_a_table_is_found(owner: Connection, accident: str, found: str) -> None:
    """Prevents: a slip in a migration, or of an administrator, that nobody notices."""
    owner.execute("select access.require_protection()")
    with owner.transaction(force_rollback=True):
        owner.execute(accident)
        with pytest.raises(psycopg.errors.RaiseException, match=re.escape(found)):
            owner.execute("select access.require_protection()")


def test_a_build_mends_a_mart_and_refuses_what_it_cannot_mend(
    built_once: Settings, owner: Connection
) -> None:
    """Prevents: a build that succeeds, and lets messages out, while tenants see each other."""
    owner.execute("drop table marts.shop_overview")
    owner.execute("drop policy rows_of_own_tenant on marts.seasonal_sales")
    owner.execute("create view marts.shown as select * from marts.orders")
    selected = ["shop_overview", "seasonal_sales"]
    report = transform(built_once, AS_OF, select=selected, with_tests_of_selected=False)
    (failure,) = report.failures
    assert "marts.shown is not a table with the policies" in failure.message
    assert "seasonal_sales" not in failure.message
    assert "shop_overview" not in failure.message
    owner.execute("drop view marts.shown")
    report = transform(built_once, AS_OF, select=selected, with_tests_of_selected=False)
    report.require_success()
