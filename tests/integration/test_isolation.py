"""Who sees what: every role of the warehouse, tried on a warehouse that was really built."""

from __future__ import annotations

import itertools
import os
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import sql

from orchestration.doctor import Check, examine
from orchestration.settings import Settings
from orchestration.transform import transform
from orchestration.warehouse.builds import parse_as_of
from orchestration.warehouse.database import engine, migrate, parse_url, tenant_transaction
from orchestration.warehouse.roles import DASHBOARD, READER, SENDER, STAFF

IS_LONG = os.environ.get("JOURNEY_LONG") == "1"
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
        with tenant_transaction(dashboard, OWN) as connection:
            assert connection.exec_driver_sql("show transaction_read_only").scalar_one() == "on"
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


def test_the_doctor_tells_what_readers_could_see(built_once: Settings, owner: Connection) -> None:
    """Prevents: an open table that nobody notices until the next build."""

    def database() -> Check:
        return next(check for check in examine(built_once) if check.name == "database")

    assert database().ok
    owner.execute("grant select on marts.orders to public")
    try:
        assert "marts.orders everybody may select it" in database().found
    finally:
        owner.execute("revoke select on marts.orders from public")


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


FORBIDDEN = [
    # becoming somebody else
    ("set role journey_owner", "permission denied to set role"),
    ("set role journey_staff", "permission denied to set role"),
    ("set role journey_sender", "permission denied to set role"),
    ("set session authorization journey_staff", "permission denied to set session authorization"),
    ("alter role current_user bypassrls", "permission denied to alter role"),
    ("alter role current_user connection limit 1000", "permission denied to alter role"),
    ("grant journey_staff to current_user", "permission denied to grant role"),
    # other schemas, and what the mapping is made of
    ("select * from raw.touchpoints", "permission denied for schema raw"),
    ("select * from raw.rejected_rows", "permission denied for schema raw"),
    ("select * from staging.stg_touchpoints__touchpoints", "permission denied for schema staging"),
    ("select * from intermediate.int_customers__names", "permission denied for schema intermed"),
    ("select * from outbox.deliveries", "permission denied for schema outbox"),
    ("select * from sync.sync_klaviyo__winback_events", "permission denied for schema sync"),
    ("select * from seeds.tenants", "permission denied for schema seeds"),
    ("select * from access.tenant_members", "permission denied for schema access"),
    ("select access.visible_tenant()", "permission denied for schema access"),
    ("select details from ops.builds", "permission denied for table builds"),
    ("select error from ops.builds", "permission denied for table builds"),
    # the server's own tables
    ("select rolpassword from pg_authid", "permission denied for table pg_authid"),
    ("select * from pg_statistic", "permission denied for table pg_statistic"),
    ("select * from pg_statistic_ext_data", "permission denied for table pg_statistic_ext_data"),
    ("select * from pg_largeobject", "permission denied for table pg_largeobject"),
    ("select * from pg_user_mapping", "permission denied for table pg_user_mapping"),
    # changing what stands there
    ("insert into marts.orders select * from marts.orders", "permission denied for table orders"),
    ("update marts.orders set currency = 'XXX'", "permission denied for table orders"),
    ("delete from marts.orders", "permission denied for table orders"),
    ("truncate marts.orders", "permission denied for table orders"),
    ("select * from marts.orders for update", "permission denied for table orders"),
    ("begin; lock table marts.orders in row exclusive mode", "permission denied for table orders"),
    ("drop policy rows_of_own_tenant on marts.orders", "must be owner of relation orders"),
    ("alter table marts.orders disable row level security", "must be owner of table orders"),
    ("create index on marts.orders (email)", "must be owner of table orders"),
    # making something that runs on the rows of others
    ("create temp table mine (one int)", "permission denied to create temporary tables"),
    ("create temp view mine as select 1", "permission denied to create temporary tables"),
    (
        "create function pg_temp.tell(text) returns boolean language sql cost 0.0001 return true",
        "permission denied to create temporary tables",
    ),
    (
        "create function public.tell(text) returns boolean language sql cost 0.0001 return true",
        "permission denied for schema public",
    ),
    (
        "create function marts.tell(text) returns boolean language sql cost 0.0001 return true",
        "permission denied for schema marts",
    ),
    ("create view public.mine as select * from marts.orders", "permission denied for schema pub"),
    ("create operator public.=== (function = texteq, leftarg = text)", "permission denied for sch"),
    ("create statistics public.mine on email, phone from marts.customers", "must be owner"),
    ("create schema mine", "permission denied for database"),
    ("create database mine", "permission denied to create database"),
    ("create role mine", "permission denied to create role"),
    # files, programs and other servers
    ("copy marts.customers to program 'cat'", "permission denied to COPY to or from an external"),
    ("copy marts.customers to '/tmp/customers'", "permission denied to COPY to a file"),
    ("copy marts.customers from '/etc/passwd'", "permission denied to COPY from a file"),
    ("select pg_read_file('postgresql.conf')", "permission denied for function pg_read_file"),
    ("select pg_ls_dir('.')", "permission denied for function pg_ls_dir"),
    ("create extension vector", "permission denied to create extension"),
    ("create extension dblink", 'extension "dblink" is not available'),
    ("load 'plperl'", 'access to library "plperl" is not allowed'),
    ("create server away foreign data wrapper none", 'foreign-data wrapper "none" does not'),
    ("select lo_create(0)", "permission denied for function lo_create"),
    ("select lo_from_bytea(0, 'kept')", "permission denied for function lo_from_bytea"),
    ("select lo_import('/etc/passwd')", "permission denied for function lo_import"),
    # holding up others
    ("select pg_advisory_lock(4740003)", "permission denied for function pg_advisory_lock"),
    ("select pg_try_advisory_xact_lock_shared(4740003)", "permission denied for function pg_try"),
    (
        "select pg_cancel_backend(pid) from pg_stat_activity where usename = 'journey_owner'",
        "permission denied to cancel query",
    ),
    # policies off means an error, and not all rows
    ("set row_security = off; select * from marts.orders", "would be affected by row-level sec"),
]


@pytest.mark.parametrize("login", [MEMBER, STRANGER, DASHBOARD, STAFF])
@pytest.mark.usefixtures("readers")
def test_what_readers_may_not_do(built_once: Settings, owner: Connection, login: str) -> None:
    """Prevents: a reader who gets at rows, files or rights by a way round the policies."""
    for statement, words in FORBIDDEN:
        if login in statement:
            continue
        with connect(built_once, login) as reader:
            # a session may end the mode that it began in
            reader.execute("set default_transaction_read_only = off")
            with pytest.raises(psycopg.Error) as refused:
                reader.execute(statement)
            assert words in str(refused.value), statement
    assert not owner.execute("select * from access.faults()").fetchall()


SENT_FROM = {
    "intermediate.int_tenants__settings": {"select"},
    "intermediate.int_winback__candidates": {"select"},
    "ops.builds": {"select"},
    "ops.loads": {"select"},
    "ops.lost_rows": {"select"},
    "outbox.campaign_enrolments": {"select", "insert"},
    "outbox.deliveries": {"select", "insert", "update"},
    "outbox.profile_deletions": {"select", "delete"},
    "outbox.switches": {"select"},
    "raw.consent_changes": {"select"},
    "raw.erasure_requests": {"select"},
    "raw.eventbrite_orders": {"select"},
    "raw.humanitix_orders": {"select"},
    "raw.klaviyo_profiles": {"select"},
    "raw.phone_numbers": {"select"},
    "raw.shop_orders": {"select"},
    "raw.shopify_orders": {"select"},
    "raw.touchpoints": {"select"},
}
RIGHTS_OF_SENDER = """
    select format('%I.%I', schemas.nspname, relations.relname), rights.name
    from pg_class as relations
    inner join pg_namespace as schemas on relations.relnamespace = schemas.oid
    cross join unnest(array[
        'select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger'
    ]) as rights (name)
    where
        relations.relkind in ('r', 'p', 'v', 'm', 'f')
        and schemas.nspname not in ('pg_catalog', 'pg_toast', 'information_schema')
        and schemas.nspname !~ '^pg_'
        and has_table_privilege('journey_sender', relations.oid, rights.name)
    order by 1, 2
"""


def rights_of_sender(owner: Connection) -> dict[str, set[str]]:
    """What the sender may do to which table, marts and sync models left out."""
    rights: dict[str, set[str]] = {}
    for relation, right in owner.execute(RIGHTS_OF_SENDER):
        rights.setdefault(str(relation), set()).add(str(right))
    for schema in ("marts", "sync"):
        read_only = [name for name in rights if name.startswith(f"{schema}.")]
        assert {right for name in read_only for right in rights.pop(name)} == {"select"}
    return rights


def test_the_sender_has_the_rights_that_it_needs(built_once: Settings, owner: Connection) -> None:
    """Prevents: a sender with a right that nobody meant, on a table, a column, a function or a
    place to make things; and one that a mart or a message is hidden from."""
    assert rights_of_sender(owner) == SENT_FROM
    with connect(built_once, SENDER) as sender:
        for schema in ("marts", "sync"):
            count = "select count(*) from pg_class where relnamespace = %s::regnamespace"
            readable = f"{count} and has_table_privilege(oid, 'select') and relkind = 'r'"
            assert column(sender, readable, schema) == column(
                owner, f"{count} and relkind = 'r'", schema
            )
    by_column = "select attrelid::regclass::text from pg_attribute where attacl::text like %s"
    assert column(owner, by_column, f"%{SENDER}=%") == []
    own_functions = (
        "select oid::regprocedure::text from pg_proc where pronamespace in (select oid from "
        "pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema') "
        "and has_function_privilege(%s, oid, 'execute')"
    )
    assert column(owner, own_functions, SENDER) == []
    places = "select nspname from pg_namespace where has_schema_privilege(%s, oid, 'create')"
    assert column(owner, places, SENDER) == []
    makes_schemas = "select has_database_privilege(%s, current_database(), 'create')"
    assert column(owner, makes_schemas, SENDER) == [False]


def test_a_warehouse_of_before_the_sender_lets_it_in(
    built_once: Settings, owner: Connection
) -> None:
    """Prevents: an upgrade after which nothing is sent, or after which the sender still may what it
    might before."""
    database = engine(built_once)
    try:
        for statement in (
            "drop function access.admit_sender() cascade",
            "drop function access.watch(text[]) cascade",
            "drop function access.note_loss() cascade",
            "drop table ops.lost_rows",
            "revoke all on all tables in schema raw, intermediate from journey_sender",
            "revoke all on schema raw, intermediate from journey_sender",
            "grant usage on schema seeds to journey_sender",
            "grant select on all tables in schema seeds to journey_sender",
            "grant select, insert, update on all tables in schema outbox to journey_sender",
            f"revoke temporary on database {owner.info.dbname} from journey_sender",
            "update ops.alembic_version set version_num = '0009'",
        ):
            owner.execute(statement)  # type: ignore[arg-type]
        assert rights_of_sender(owner) != SENT_FROM
    finally:
        migrate(database)
        database.dispose()
    assert rights_of_sender(owner) == SENT_FROM
    with connect(built_once, SENDER) as sender:
        sender.execute("create temporary table mine (one integer)")


SENDER_FORBIDDEN = [
    ("select * from raw.gifts", "permission denied for table gifts"),
    ("select * from raw.rejected_rows", "permission denied for table rejected_rows"),
    ("select * from seeds.identity_rules", "permission denied for schema seeds"),
    ("select * from intermediate.int_customers__names", "denied for table int_customers"),
    ("select * from access.tenant_members", "permission denied for schema access"),
    ("select * from ops.erasure_key", "permission denied for table erasure_key"),
    ("select * from outbox.gift_codes", "permission denied for table gift_codes"),
    ("insert into raw.consent_changes default values", "permission denied for table consent_"),
    ("delete from raw.erasure_requests", "permission denied for table erasure_requests"),
    ("update marts.customers set email = null", "permission denied for table customers"),
    ("insert into marts.customers default values", "permission denied for table customers"),
    ("delete from sync.sync_klaviyo__winback_events", "permission denied for table sync_klaviyo"),
    ("update ops.builds set verdict = 'succeeded'", "permission denied for table builds"),
    ("delete from ops.loads", "permission denied for table loads"),
    ("delete from ops.lost_rows", "permission denied for table lost_rows"),
    ("delete from outbox.deliveries", "permission denied for table deliveries"),
    ("truncate outbox.deliveries", "permission denied for table deliveries"),
    ("delete from outbox.switches", "permission denied for table switches"),
    ("update outbox.campaign_enrolments set is_held_out = false", "denied for table campaign_"),
    ("update outbox.redemption_decisions set code = 'x'", "denied for table redemption_decisions"),
    ("create table outbox.mine (one int)", "permission denied for schema outbox"),
    ("create table public.mine (one int)", "permission denied for schema public"),
    ("create schema mine", "permission denied for database"),
    ("set role journey_owner", "permission denied to set role"),
]


def test_what_the_sender_may_do(built_once: Settings) -> None:
    """Prevents: a sender that cannot write down what it sent, or one that can make it unsent."""
    with connect(built_once, SENDER) as sender:
        for table in ("sync.sync_klaviyo__winback_events", "raw.touchpoints", "ops.builds"):
            assert column(sender, f"select count(*) from {table}") != [0]
        with sender.transaction(force_rollback=True):
            sender.execute(
                "insert into outbox.deliveries (message_id, tenant_id, destination, operation, "
                "purpose, payload, state, created_at, updated_at) values ('m', 'aurora', 'd', 'o',"
                " 'p', '{}', 'intended', now(), now())"
            )
            sender.execute("update outbox.deliveries set state = 'accepted' where message_id = 'm'")
    for statement, words in SENDER_FORBIDDEN:
        with connect(built_once, SENDER) as sender:
            with pytest.raises(psycopg.errors.InsufficientPrivilege) as refused:
                sender.execute(statement)
            assert words in str(refused.value), statement


@pytest.mark.parametrize(
    "disguise",
    [
        "set journey.tenant = 'kente'",
        "set journey.tenant = '*'",
        "select set_config('journey.tenant', 'kente', false)",
        "set role journey_reader",
        "set search_path = pg_temp, marts, pg_catalog",
        "set plan_cache_mode = force_generic_plan",
        "set debug_parallel_query = on; set parallel_setup_cost = 0; set parallel_tuple_cost = 0; "
        "set min_parallel_table_scan_size = 0",
        "set enable_seqscan = off; set enable_bitmapscan = off",
        "begin transaction isolation level repeatable read",
    ],
)
@pytest.mark.usefixtures("readers")
def test_nothing_that_a_session_sets_changes_what_it_sees(
    built_once: Settings, disguise: str
) -> None:
    """Prevents: a reader who names another tenant, or a role or plan under which policies fail."""
    for login, tenants in ((MEMBER, {OWN}), (STRANGER, set())):
        with connect(built_once, login) as reader:
            reader.execute(disguise)  # type: ignore[arg-type]
            assert seen(reader) == tenants, login


@pytest.mark.parametrize("tenant", ["", "*", "%", "aurora,kente", "aurora' or 'a' = 'a", "AURORA"])
def test_the_dashboard_sees_nothing_under_a_name_that_is_none(
    built_once: Settings, tenant: str
) -> None:
    """Prevents: a page that shows everything because its tenant was left empty or made up."""
    with connect(built_once, DASHBOARD) as dashboard:
        dashboard.execute("select set_config('journey.tenant', %s, false)", [tenant])
        assert seen(dashboard) == set()


def test_a_prepared_statement_follows_the_tenant(built_once: Settings) -> None:
    """Prevents: a plan made for one tenant's page that shows its rows on the next one's."""
    with connect(built_once, DASHBOARD) as dashboard:
        dashboard.execute(f"prepare tenants as {TENANTS_SEEN}")
        dashboard.execute("set plan_cache_mode = force_generic_plan")
        for tenant in (*sorted(TENANTS), ""):
            dashboard.execute("select set_config('journey.tenant', %s, false)", [tenant])
            assert column(dashboard, "execute tenants") == ([tenant] if tenant else [])


LEAKY = [
    # each fails upon a foreign row that reaches it
    "select count(*) from marts.customers where (case tenant_id when 'aurora' then 1 else 0 end)"
    " / (case tenant_id when 'aurora' then 1 else 0 end) = 1",
    "select count(case tenant_id when 'aurora' then 1 else (tenant_id || email)::int end) "
    "from marts.customers",
    "select sum(1 / (tenant_id = 'aurora')::int) from marts.customers",
    "select count(*) from marts.customers join marts.orders using (customer_id) "
    "where 1 / (orders.tenant_id = 'aurora')::int = 1 "
    "and 1 / (customers.tenant_id = 'aurora')::int = 1",
    "select max(1 / (tenant_id = 'aurora')::int) over () from marts.customers",
    "select 1 from marts.customers order by 1 / (tenant_id = 'aurora')::int limit 1",
    "do $$ declare found record; begin for found in select * from marts.customers loop "
    "if found.tenant_id <> 'aurora' then raise '%', found.email; end if; end loop; end $$",
]


@pytest.mark.parametrize("plan", ["enable_indexscan", "enable_seqscan", "enable_hashjoin"])
@pytest.mark.usefixtures("readers")
def test_no_expression_meets_a_foreign_row(
    built_once: Settings, owner: Connection, plan: str
) -> None:
    """Prevents: an error message that tells another tenant's e-mail, because the planner asked the
    reader's question before the policy's."""
    with connect(built_once, MEMBER) as reader:
        reader.execute(f"set {plan} = off")
        for statement in LEAKY:
            reader.execute(statement)
    for statement in LEAKY:
        with pytest.raises((psycopg.errors.DataError, psycopg.errors.RaiseException)):
            owner.execute(statement)


@pytest.mark.usefixtures("readers")
def test_copying_out_gives_own_rows(built_once: Settings) -> None:
    """Prevents: an export that goes round the policies."""
    with (
        connect(built_once, MEMBER) as reader,
        reader.cursor().copy("copy marts.customers (tenant_id) to stdout") as copied,
    ):
        assert {bytes(line).decode().strip() for line in copied} == {OWN}


@pytest.mark.usefixtures("readers")
def test_statistics_tell_nothing_of_people_and_little_of_tenants(
    built_once: Settings, owner: Connection
) -> None:
    """Prevents: e-mails read from the planner's samples, or from the row counts that it guesses:
    they are drawn from the rows of all tenants."""
    owner.execute("analyze marts.customers, marts.customer_identities, marts.orders")
    kept = "select attname::text from pg_stats where schemaname = 'marts' and tablename = %s"
    assert {"tenant_id", "stage"} <= set(column(owner, kept, "customers"))
    assert not {"email", "phone", "first_name", "last_name"} & set(column(owner, kept, "customers"))
    assert "identifier" not in column(owner, kept, "customer_identities")

    def guess(reader: Connection, condition: str) -> object:
        plan = column(
            reader, f"explain (format json) select * from marts.customers where {condition}"
        )
        return plan[0][0]["Plan"]["Plan Rows"]  # type: ignore[index]

    with connect(built_once, MEMBER) as reader:
        assert not column(reader, "select 1 from pg_stats where schemaname in ('marts', 'raw')")
        assert not column(reader, "select 1 from pg_stats_ext")
        assert guess(reader, "tenant_id = 'kente'") == guess(reader, "tenant_id = 'no-such'")
        assert guess(reader, "email < 'b'") == guess(reader, "email < 'y'")
        known = column(owner, "select min(email) from marts.customers where tenant_id = 'kente'")
        assert guess(reader, f"email = '{known[0]}'") == guess(reader, "email = 'no-such'")


@pytest.mark.usefixtures("readers")
def test_what_others_ask_is_hidden(built_once: Settings, owner: Connection) -> None:
    """Prevents: a reader who watches the questions of others, with the values in them."""
    owner.execute("select 'a secret of the builder'")
    with connect(built_once, MEMBER) as reader:
        questions = column(reader, "select query from pg_stat_activity")
    assert questions
    assert not [question for question in questions if "secret" in str(question)]


def test_only_our_roles_get_into_the_database(built_once: Settings, owner: Connection) -> None:
    """Prevents: a login of another application on the same server that looks around here."""
    owner.execute(f"create role bystander login password '{PASSWORD}'")
    try:
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            connect(built_once, "bystander")
    finally:
        owner.execute("drop role bystander")


REBUILT = ("orders", "customer_cohorts", "journey_analytics", "loyalty_overview")
DROPPED = "journey_funnel"
READS, READERS = (10_000, 2) if IS_LONG else (200, 2)
LEAST_REBUILDS = 2
READS_PER_CONNECTION = 25


@pytest.mark.long
@pytest.mark.usefixtures("readers")
def test_reads_during_rebuilds(built_once: Settings, owner: Connection) -> None:
    """Prevents: a table that is missing, empty, half-written or open to all for the instant in
    which a build replaces its rows, or makes it."""
    expected = {
        mart: column(owner, f"select count(*) from marts.{mart} where tenant_id = %s", OWN)[0]
        for mart in (*REBUILT, DROPPED)
    }
    assert all(expected.values())
    reads = 0
    is_over = threading.Event()

    def read(number: int) -> list[str]:
        nonlocal reads
        problems: list[str] = []
        marts_to_read = itertools.cycle(expected)
        while not is_over.is_set():
            with connect(built_once, MEMBER if number % 2 == 0 else STRANGER) as reader:
                for mart in itertools.islice(marts_to_read, READS_PER_CONNECTION):
                    problems += look(reader, mart, number % 2 == 0)
                    reads += 1
        return problems

    def look(reader: Connection, mart: str, is_member: bool) -> list[str]:
        rows = f"select count(*), count(*) filter (where tenant_id <> '{OWN}') from marts.{mart}"
        try:
            found = reader.execute(rows).fetchone()
        except psycopg.errors.UndefinedTable as error:
            return [] if mart == DROPPED else [str(error)]
        except psycopg.Error as error:
            return [f"{mart}: {error}"]
        right = (expected[mart] if is_member else 0, 0)
        return [] if found == right else [f"{mart}: {found} instead of {right}"]

    rebuilds = 0
    with ThreadPoolExecutor(READERS) as pool:
        looking = [pool.submit(read, number) for number in range(READERS)]
        try:
            while (reads < READS or rebuilds < LEAST_REBUILDS) and not any(
                one.done() for one in looking
            ):
                owner.execute(f"drop table marts.{DROPPED}")
                for mart in REBUILT:
                    # every row is wrong, so that every row is replaced
                    owner.execute(f"update marts.{mart} set currency = 'XXX'")
                report = transform(
                    built_once,
                    AS_OF,
                    select=[*REBUILT, DROPPED],
                    with_tests_of_selected=False,
                    full_refresh=rebuilds % 2 == 0,
                )
                report.require_success()
                rebuilds += 1
        finally:
            is_over.set()
    problems = [problem for one in looking for problem in one.result()]
    assert not problems, problems[:5]
    assert reads >= READS
