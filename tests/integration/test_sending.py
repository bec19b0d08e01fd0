"""Live deliveries to a server that keeps the destinations' rules: what leaves, and what not."""

from __future__ import annotations

import csv
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy
from pyarrow import parquet
from sqlalchemy import text

from orchestration.activation import courier, outbox, switches
from orchestration.activation import send as engine_module
from orchestration.activation.deliver import deliver
from orchestration.activation.destinations import DESTINATIONS
from orchestration.activation.destinations.files import write_export
from orchestration.activation.gate import GateClosed
from orchestration.activation.message import OUTPUTS
from orchestration.activation.outbox import SendingError, replay_rejected
from orchestration.activation.rates import Limits
from orchestration.activation.report import SendReport
from orchestration.activation.send import World, send
from orchestration.build import BuildReport
from orchestration.cli import main
from orchestration.defs.failures import DELIVERY_TAG
from orchestration.settings import SEEDS_DIR, Settings, get_settings
from orchestration.warehouse.builds import building
from orchestration.warehouse.database import engine_for, parse_url
from orchestration.warehouse.postgres import EmbeddedServer
from orchestration.warehouse.roles import SENDER
from tests.conftest import BUILT_TEMPLATE, environment, fresh_database, set_environment
from tests.destinations.people import (
    CAMPAIGN,
    TENANT,
    add_candidates,
    add_invitations,
    add_moves,
    add_news,
    add_people,
    clone,
    email_of,
    forget_everybody,
    keep,
    restore,
)
from tests.destinations.server import KLAVIYO_KEY, Destinations, Windows

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
NOW = AS_OF + timedelta(hours=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ENDPOINTS = {endpoint for one in DESTINATIONS.values() for endpoint in one.limits}
UNLIMITED = dict.fromkeys(ENDPOINTS, Limits())
Serve = Callable[..., Destinations]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Starts servers to which every tenant is connected."""
    running: list[Destinations] = []

    def start(**options: Any) -> Destinations:
        server = Destinations(**options)
        server.__enter__()
        running.append(server)
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        return server

    yield start
    for server in running:
        server.__exit__()


@pytest.fixture(scope="module")
def shared(
    server: EmbeddedServer,
    warehouse: tuple[Path, BuildReport],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, sqlalchemy.Engine]]:
    """One built warehouse for the module, which remembers what it held."""
    for address in fresh_database(server, BUILT_TEMPLATE):
        made = engine_for(parse_url(address))
        with made.begin() as connection:
            keep(connection)
        yield address, made
        made.dispose()


@pytest.fixture
def built(
    server: EmbeddedServer,
    shared: tuple[str, sqlalchemy.Engine],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Settings:
    """Settings of the warehouse as it was built."""
    address, database = shared
    with database.begin() as connection:
        restore(connection)
    set_environment(monkeypatch, **environment(server, tmp_path / "home", address))
    return get_settings()


@pytest.fixture
def warehouse_database(built: Settings, shared: tuple[str, sqlalchemy.Engine]) -> sqlalchemy.Engine:
    """The built warehouse, with the messages of the sample."""
    return shared[1]


@pytest.fixture
def bare(warehouse_database: sqlalchemy.Engine) -> sqlalchemy.Engine:
    """The built warehouse without any message."""
    with warehouse_database.begin() as connection:
        forget_everybody(connection)
    return warehouse_database


def send_now(
    settings: Settings,
    *outputs: str,
    tenant: str = TENANT,
    now: datetime = NOW,
    limits: dict[str, Limits] = UNLIMITED,
    **world: Any,
) -> SendReport:
    """Deliver at an instant, with no patience unless the test says so."""
    options: dict[str, Any] = {"sleep": lambda _seconds: None, "timeout": 10.0, **world}
    made = World(clock=lambda: now, limits=limits, **options)
    return send(settings, tenant, outputs or tuple(engine_module.OUTPUTS), made)


def states(database: sqlalchemy.Engine) -> dict[str, tuple[str, str | None]]:
    with database.connect() as connection:
        rows = connection.execute(text("select message_id, state, reason from outbox.deliveries"))
        return {row.message_id: (row.state, row.reason) for row in rows}


def run_sql(database: sqlalchemy.Engine, *statements: str, **values: Any) -> None:
    with database.begin() as connection:
        for statement in statements:
            connection.execute(text(statement), values)


def change_seeds(
    monkeypatch: pytest.MonkeyPatch, folder: Path, change: Callable[[dict[str, str]], None]
) -> None:
    """Let the seed of campaigns say something else from now on, for the campaign of the tests."""
    shutil.copytree(SEEDS_DIR, folder)
    file = folder / "winback_campaign_definitions.csv"
    with file.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    for row in rows:
        if row["campaign_id"] == CAMPAIGN:
            change(row)
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    monkeypatch.setattr(engine_module, "SEEDS_DIR", folder)


def arrived(server: Destinations) -> int:
    """How many messages the server took."""
    members = sum(map(len, server.lists.values()))
    return len(server.events) + len(server.receipts) + len(server.codes) + members


def test_what_a_dry_run_showed_is_sent_once(
    built: Settings, warehouse_database: sqlalchemy.Engine, serve: Serve
) -> None:
    """Prevents: a live delivery that sends something else than the dry run showed, sends a message
    again the next time, or touches another tenant."""
    server = serve()
    shown = deliver(built, tenant=TENANT)
    first = send_now(built)
    second = send_now(built)
    assert first.is_complete
    decided = ("sent", "skipped", "rejected")
    assert sum(map(first.total, decided)) == shown.total("written")
    reasons = {reason for one in first.purposes.values() for reason in one.skipped}
    assert reasons <= {"erased", "never_added"}
    assert (second.total("sent"), second.total("left")) == (0, 0)
    assert first.total("sent") == arrived(server) > 50
    assert set(server.recordings.values()) | set(server.receipts.values()) == {1}
    assert server.per_endpoint["events"] == 0
    with warehouse_database.connect() as connection:
        rows = connection.execute(
            text(
                "select tenant_id, state, attempts, sent_at, count(*) from outbox.deliveries "
                "where state not in ('dry_run', 'skipped', 'rejected') group by 1, 2, 3, 4"
            )
        ).all()
    assert [tuple(row[:4]) for row in rows] == [(TENANT, "accepted", 1, NOW)]


def test_a_machine_may_know_the_sender_only(
    server: EmbeddedServer, built: Settings, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: a machine that must hold the builder's password, which opens everything."""
    destinations = serve()
    assert built.database_url is not None
    address = parse_url(built.database_url.get_secret_value()).set(
        drivername="postgresql", username=SENDER, password=server.credentials()[SENDER]
    )
    set_environment(
        monkeypatch,
        JOURNEY_HOME=str(built.home),
        JOURNEY_DATABASE_URL=address.render_as_string(hide_password=False),
    )
    settings = get_settings()
    assert deliver(settings, tenant=TENANT).total("written") > 0
    assert send_now(settings).total("sent") == arrived(destinations) > 50
    assert write_export(settings, TENANT, NOW).rows > 0


def test_no_request_leaves_unless_the_latest_build_vouches(
    built: Settings, warehouse_database: sqlalchemy.Engine, serve: Serve
) -> None:
    """Prevents: messages on the word of a build that is old, running, failed or interrupted, or
    that tells the future."""
    server = serve()
    hours = built.max_build_age_hours
    too_late = AS_OF + timedelta(hours=hours, microseconds=1)
    with pytest.raises(GateClosed, match=r"26\.0 hours ago.*JOURNEY_MAX_BUILD_AGE_HOURS"):
        send_now(built, now=too_late)
    with pytest.raises(GateClosed, match="which is yet to come"):
        send_now(built, now=AS_OF - timedelta(microseconds=1))
    with building(warehouse_database, AS_OF), pytest.raises(GateClosed, match="is running"):
        send_now(built)
    with pytest.raises(GateClosed, match="was interrupted"):
        send_now(built)
    with building(warehouse_database, AS_OF) as opened:
        opened.fail("assert_this: 1 row")
    with pytest.raises(GateClosed, match="assert_this"):
        send_now(built)
    with building(warehouse_database, AS_OF) as opened:
        opened.succeed("partial")
    with pytest.raises(GateClosed, match="only a part"):
        send_now(built)
    assert server.requests == 0
    assert {state for state, _ in states(warehouse_database).values()} == {"dry_run"}
    with building(warehouse_database, AS_OF) as opened:
        opened.succeed("whole")
    assert send_now(built, now=too_late - timedelta(microseconds=1)).total("sent") > 0


def test_a_build_that_begins_meanwhile_ends_the_delivery(
    built: Settings, bare: sqlalchemy.Engine, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: a delivery that goes on by marts which are changing under it."""
    names = [f"p{number}" for number in range(6)]
    with bare.begin() as connection:
        add_people(connection, *names)
        add_news(connection, "points_expiring", NOW - HOUR, *names)
    monkeypatch.setattr(courier, "PAGE", 2)
    builds = []

    def begin(_number: int) -> None:
        if not builds:
            builds.append(building(bare, AS_OF))
            builds[0].__enter__()

    server = serve(before_answer=begin)
    report = send_now(built, "loyalty")
    builds[0].__exit__(None, None, None)
    assert not report.is_complete
    assert "running" in report.notes[0] or "A build runs" in report.notes[0]
    assert (report.total("sent"), report.total("left"), len(server.events)) == (2, 4, 2)


def test_two_deliveries_never_send_at_once(
    built: Settings,
    warehouse_database: sqlalchemy.Engine,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Prevents: two senders that take each other's messages for those of a dead one."""
    server = serve()
    monkeypatch.setattr(outbox, "LOCK_TIMEOUT", "50ms")
    with (
        warehouse_database.connect() as connection,
        outbox.sending(connection, TENANT),
        pytest.raises(SendingError, match="Another delivery sends for aurora"),
    ):
        send_now(built)
    assert server.requests == 0
    assert send_now(built).total("sent") > 0


# Each case changes what is true of one person after the build. `:load` is a load that no build has
# seen, `:email` the person's address.
CHANGES: dict[str, tuple[str, str]] = {
    "consent-withdrawn": (
        "email_not_subscribed",
        "insert into raw.consent_changes (tenant_id, id, email, channel, subscribed, changed_at, "
        "_load_id, _line, _loaded_at, _is_current) values ('aurora', 'x', upper(:email), 'email', "
        "false, '2026-06-30T00:00:00Z', :load, 1, now(), true)",
    ),
    "unsubscribed-by-link": (
        "email_not_subscribed",
        "insert into raw.touchpoints (tenant_id, id, email, type, occurred_at, _load_id, _line, "
        "_loaded_at, _is_current) values ('aurora', 'x', :email, 'email_unsubscribe', "
        "'2026-07-01T00:30:00Z', 1, 1, now(), true)",
    ),
    "unsubscribed-at-klaviyo": (
        "email_not_subscribed",
        "insert into raw.klaviyo_profiles (tenant_id, id, email, email_consent, created, updated, "
        "_load_id, _line, _loaded_at, _is_current) values ('aurora', 'x1', :email, 'unsubscribed', "
        "'2026-06-01T00:00:00Z', '2026-06-30T00:00:00Z', :load, 1, now(), true)",
    ),
    "suppressed-at-klaviyo": (
        "email_suppressed",
        "insert into raw.klaviyo_profiles (tenant_id, id, email, email_suppressed, created, "
        "updated, _load_id, _line, _loaded_at, _is_current) values ('aurora', 'x2', :email, true, "
        "'2026-06-01T00:00:00Z', '2026-06-30T00:00:00Z', :load, 1, now(), true)",
    ),
    "unsubscribed-in-the-mart": (
        "email_not_subscribed",
        "update marts.customers set email_subscribed = false where email = :email",
    ),
    "suppressed-in-the-mart": (
        "email_suppressed",
        "update marts.customers set is_email_suppressed = true where email = :email",
    ),
    "erased-by-email": (
        "erased",
        "insert into raw.erasure_requests (tenant_id, id, email, requested_at, _load_id, _line, "
        "_loaded_at, _is_current) values ('aurora', 'x1', ' ' || :email, '2026-07-01T00:30:00Z', "
        ":load, 1, now(), true)",
    ),
    "erased-by-phone": (
        "erased",
        "insert into raw.phone_numbers (tenant_id, phone, region, e164) "
        "values ('aurora', '030 1', 'DE', '+49301');"
        "insert into marts.customer_identities (tenant_id, identifier_type, identifier, "
        "customer_id, source, is_primary, seen_count) select tenant_id, 'phone', '+49301', "
        "customer_id, 'x', true, 1 from marts.customers where email = :email;"
        "insert into raw.erasure_requests (tenant_id, id, phone, requested_at, _load_id, _line, "
        "_loaded_at, _is_current) values ('aurora', 'x2', '030 1', '2026-07-01T00:30:00Z', "
        ":load, 1, now(), true)",
    ),
    "bought-since-the-build": (
        "purchased_since_enrolment",
        "insert into raw.shop_orders (tenant_id, id, shop_id, email, status, created_at, _load_id, "
        "_line, _loaded_at, _is_current) values ('aurora', 'x', 's', :email, 'paid', "
        "'2026-07-01T00:30:00Z', :load, 1, now(), true)",
    ),
    "bought-at-the-ticket-office": (
        "purchased_since_enrolment",
        "insert into raw.eventbrite_orders (tenant_id, id, email, created, changed, _load_id, "
        "_line, _loaded_at, _is_current) values ('aurora', 'x', :email, '2026-07-01T00:30:00Z', "
        "'2026-07-01T00:30:00Z', :load, 1, now(), true)",
    ),
    "bought-with-the-account": (
        "purchased_since_enrolment",
        "insert into marts.customer_identities (tenant_id, identifier_type, identifier, "
        "customer_id, source, is_primary, seen_count) select tenant_id, 'shopify_customer_id', "
        "'4711', customer_id, 'x', true, 1 from marts.customers where email = :email;"
        "insert into raw.shopify_orders (tenant_id, id, customer, created_at, _load_id, _line, "
        "_loaded_at, _is_current) values ('aurora', '4711', jsonb_build_object('id', 4711), "
        "'2026-07-01T00:30:00Z', :load, 1, now(), true)",
    ),
    "moved-to-an-address-without-consent": (
        "email_not_subscribed",
        "update marts.customers set email = 'new@example.com' where email = :email",
    ),
    "held-out": (
        "held_out",
        "insert into outbox.campaign_enrolments (tenant_id, campaign_id, customer_id, message_id, "
        "enrolled_at, is_held_out, build_id, created_at) select tenant_id, 'aurora-miss-you', "
        "customer_id, 'winback-held-out', '2026-06-30T00:00:00Z', true, gen_random_uuid(), now() "
        "from marts.customers where email = :email",
    ),
    "written-to-under-an-old-id": (
        "already_sent_to_an_old_id",
        "insert into marts.customer_redirects (tenant_id, old_customer_id, customer_id, merged_at) "
        "select tenant_id, 'old', customer_id, '2026-06-30T00:00:00Z' from marts.customers "
        "where email = :email;"
        "insert into outbox.deliveries (message_id, tenant_id, customer_id, destination, "
        "operation, purpose, payload, state, created_at, updated_at, sent_at) "
        "select 'winback-old', tenant_id, 'old', destination, operation, purpose, "
        "jsonb_set(payload, '{data,attributes,properties,first_name}', '1'), 'accepted', "
        "'2026-01-01', '2026-01-01', '2026-01-01' "
        "from sync.sync_klaviyo__winback_events "
        "where cast(payload as text) like '%' || :email || '%'",
    ),
    "stale": (
        "expired",
        "update sync.sync_klaviyo__winback_events set expires_at = '2026-07-01T01:00:00Z' "
        "where message_id like 'winback-%' and cast(payload as text) like '%' || :email || '%'",
    ),
}


def test_what_changed_since_the_build_is_seen_before_sending(
    built: Settings, bare: sqlalchemy.Engine, serve: Serve
) -> None:
    """Prevents: mail to people who withdrew, were erased, bought, or had it, after the build; each
    case is one person, whose message is skipped for that reason while the others get theirs."""
    server = serve()
    with bare.begin() as connection:
        everybody = (*CHANGES, "nothing-changed", "bought-long-ago", "came-back", "gave-up")
        add_people(connection, *everybody)
        add_candidates(connection, *everybody)
        add_invitations(connection, NOW - HOUR, *everybody)
        load = connection.execute(
            text(
                "insert into ops.loads (tenant_id, source, file, sha256, bytes, status, "
                "started_at, finished_at) values ('aurora', 'test', 'f', 'h', 1, 'loaded', now(), "
                "now()) returning load_id"
            )
        ).scalar_one()
        for name, (_, statements) in CHANGES.items():
            for statement in statements.split(";"):
                values = {"load": load, "email": email_of(name)}
                used = {key: value for key, value in values.items() if f":{key}" in statement}
                connection.execute(text(statement), used)
        # an order from before the enrolment, one that came to nothing, and a withdrawal that was
        # taken back
        connection.execute(
            text(
                "insert into raw.eventbrite_orders (tenant_id, id, email, status, created, "
                "changed, _load_id, _line, _loaded_at, _is_current) values ('aurora', 'y', :email, "
                "'abandoned', '2026-07-01T00:30:00Z', '2026-07-01T00:30:00Z', :load, 1, now(), "
                "true)"
            ),
            {"email": email_of("gave-up"), "load": load},
        )
        connection.execute(
            text(
                "insert into raw.shop_orders (tenant_id, id, shop_id, email, status, created_at, "
                "_load_id, _line, _loaded_at, _is_current) values ('aurora', 'y', 's', :email, "
                "'paid', '2026-06-30T00:00:00Z', :load, 1, now(), true)"
            ),
            {"email": email_of("bought-long-ago"), "load": load},
        )
        for number, (subscribed, at) in enumerate((("false", "01:00"), ("true", "02:00"))):
            connection.execute(
                text(
                    "insert into raw.consent_changes (tenant_id, id, email, channel, subscribed, "
                    "changed_at, _load_id, _line, _loaded_at, _is_current) values ('aurora', "
                    f"'y{number}', :email, 'email', {subscribed}, '2026-06-30T{at}:00Z', :load, 1, "
                    "now(), true)"
                ),
                {"email": email_of("came-back"), "load": load},
            )
    report = send_now(built, "winback")
    found = states(bare)
    assert {name: found[f"winback-{name}"] for name in CHANGES} == {
        name: ("skipped", reason) for name, (reason, _) in CHANGES.items()
    }
    sent = {f"winback-{name}" for name in everybody if name not in CHANGES}
    assert set(server.events) == sent
    (counts,) = report.purposes.values()
    assert counts.skipped == Counter(reason for reason, _ in CHANGES.values())
    assert send_now(built, "winback").total("sent") == 0


def test_the_frequency_cap_counts_what_a_person_was_sent_under_any_id(
    built: Settings, bare: sqlalchemy.Engine, serve: Serve
) -> None:
    """Prevents: a fourth marketing message within a week, also within one page or after a merge;
    and codes that people paid for, held back by it."""
    server = serve()
    many = [f"points_expiring-{number}" for number in range(5)]
    with bare.begin() as connection:
        add_people(connection, "often", "merged", "paid")
        for number, _ in enumerate(many):
            add_news(connection, "points_expiring", NOW - HOUR, "often", prefix=f"{number}-")
            add_news(connection, "reward_code", NOW - HOUR, "paid", prefix=f"{number}-")
        connection.execute(
            text(
                "insert into marts.customer_redirects (tenant_id, old_customer_id, customer_id, "
                "merged_at) values ('aurora', 'old', 'merged', '2026-06-30T00:00:00Z')"
            )
        )
        connection.execute(
            text(
                "insert into outbox.deliveries (message_id, tenant_id, customer_id, destination, "
                "operation, purpose, payload, state, reason, created_at, updated_at, sent_at) "
                "values "
                "('a', 'aurora', 'old', 'klaviyo', 'create_event', 'winback', '{}', 'accepted', "
                "null, '2026-06-30', '2026-06-30', '2026-06-30'), "
                "('b', 'aurora', 'old', 'klaviyo', 'create_event', 'winback', '{}', 'unknown', "
                "'no answer', '2026-06-30', '2026-06-30', null)"
            )
        )
        for prefix in ("0-", "1-"):
            add_news(connection, "points_expiring", NOW - HOUR, "merged", prefix=prefix)
    send_now(built, "loyalty")
    reasons = Counter(
        (message_id.rsplit("-", 1)[1], *state)
        for message_id, state in states(bare).items()
        if message_id not in ("a", "b")
    )
    assert reasons == {
        ("often", "accepted", None): 3,
        ("often", "waiting", "frequency_cap"): 2,
        ("merged", "accepted", None): 1,
        ("merged", "waiting", "frequency_cap"): 1,
        ("paid", "accepted", None): 5,
    }
    with bare.begin() as connection:
        connection.execute(
            text("update intermediate.int_tenants__settings set marketing_message_limit = 5")
        )
    assert send_now(built, "loyalty").total("sent") == 3
    assert set(server.recordings.values()) == {1}


def test_old_news_is_recorded_without_starting_anything(
    built: Settings, bare: sqlalchemy.Engine, serve: Serve
) -> None:
    """Prevents: a first activation that congratulates everybody on last month; an invitation of any
    age still invites."""
    server = serve()
    limit = NOW - 3 * DAY
    with bare.begin() as connection:
        add_people(connection, "fresh", "old", "invited")
        add_news(connection, "points_earned", limit, "fresh")
        add_news(connection, "points_earned", limit - timedelta(microseconds=1), "old")
        add_news(connection, "points_expiring", limit - 20 * DAY, "invited")
    report = send_now(built, "loyalty")
    assert len(server.events) == 3
    assert server.backfilled == {"points_earned-old"}
    assert report.total("backfilled") == 1


def test_a_campaign_obeys_its_seed_at_once(
    built: Settings,
    bare: sqlalchemy.Engine,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Prevents: a campaign that goes on until the next build although somebody paused it, put it
    off, lowered its limit or ended it."""
    server = serve()
    names = [f"p{number}" for number in range(4)]
    with bare.begin() as connection:
        add_people(connection, *names)
        add_candidates(connection, *names)
        add_invitations(connection, NOW - HOUR, *names)

    def say(folder: str, **values: str) -> SendReport:
        change_seeds(monkeypatch, tmp_path / folder, lambda row: row.update(values))
        return send_now(built, "winback")

    for folder, closed in (("0", {"status": "paused"}), ("1", {"starts_at": "2026-07-02T00:00Z"})):
        assert say(folder, **closed).total("sent") == 0
        assert set(states(bare).values()) == {("waiting", "campaign_paused")}
    limited = say("2", max_recipients_per_run="1")
    assert (limited.total("sent"), limited.total("waiting")) == (1, 3)
    assert Counter(states(bare).values())[("waiting", "campaign_limit")] == 3
    assert send_now(built, "winback").total("sent") == 1
    ended = say("3", ends_at=NOW.isoformat())
    assert (ended.total("sent"), ended.total("skipped")) == (0, 2)
    assert Counter(states(bare).values())[("skipped", "campaign_ended")] == 2
    assert len(server.events) == 2


def test_nobody_hears_from_a_campaign_without_being_enrolled(
    built: Settings, bare: sqlalchemy.Engine, serve: Serve
) -> None:
    """Prevents: recipients of whom no later build knows."""
    server = serve()
    names = [f"p{number}" for number in range(3)]
    with bare.begin() as connection:
        add_people(connection, *names)
        add_candidates(connection, *names[:2])
        add_invitations(connection, NOW - HOUR, *names)
    report = send_now(built, "winback")
    assert (report.total("sent"), report.total("waiting")) == (2, 1)
    assert states(bare)["winback-p2"] == ("waiting", "not_enrolled")
    with bare.begin() as connection:
        add_candidates(connection, names[2])
    assert send_now(built, "winback").total("sent") == 1
    assert len(server.events) == 3


def test_one_run_sends_no_more_than_the_tenant_allows(
    built: Settings, bare: sqlalchemy.Engine, serve: Serve
) -> None:
    """Prevents: a mistake in a model that reaches everybody at once."""
    serve()
    names = [f"p{number}" for number in range(7)]
    with bare.begin() as connection:
        add_people(connection, *names)
        add_news(connection, "points_expiring", NOW - HOUR, *names)
        connection.execute(
            text("update intermediate.int_tenants__settings set max_messages_per_run = 3")
        )
    for sent, left, is_complete in ((3, 4, False), (3, 1, False), (1, 0, True)):
        report = send_now(built, "loyalty")
        assert (report.total("sent"), report.total("left")) == (sent, left)
        assert report.is_complete is is_complete
        assert any("max_messages_per_run" in note for note in report.notes) is not is_complete


def test_what_is_loaded_during_the_delivery_is_seen_by_the_next_page(
    built: Settings, bare: sqlalchemy.Engine, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: a withdrawal that is asked about once, when a long delivery begins."""
    names = [f"p{number}" for number in range(4)]
    with bare.begin() as connection:
        add_people(connection, *names)
        add_news(connection, "points_expiring", NOW - HOUR, *names)
    monkeypatch.setattr(courier, "PAGE", 2)

    def withdraw(number: int) -> None:
        if number == 1:
            run_sql(
                bare,
                "insert into ops.loads (tenant_id, source, file, sha256, bytes, status, "
                "started_at, finished_at) values ('aurora', 'test', 'f', 'h', 1, 'loaded', now(), "
                "now())",
                "insert into raw.consent_changes (tenant_id, id, email, channel, subscribed, "
                "changed_at, _load_id, _line, _loaded_at, _is_current) select 'aurora', 'x', "
                "'p3@example.com', 'email', false, '2026-06-01', max(load_id), 1, now(), true "
                "from ops.loads",
            )

    server = serve(before_answer=withdraw)
    send_now(built, "loyalty")
    assert set(server.events) == {f"points_expiring-p{number}" for number in range(3)}
    assert states(bare)["points_expiring-p3"] == ("skipped", "email_not_subscribed")


def test_a_switch_stops_a_delivery_that_runs(
    built: Settings, bare: sqlalchemy.Engine, serve: Serve
) -> None:
    """Prevents: a switch that acts after the mistake has reached everybody, that stops another
    destination too, or that loses what it held back."""
    names = [f"p{number:03}" for number in range(200)]
    with bare.begin() as connection:
        add_people(connection, *names)
        add_news(connection, "points_expiring", NOW - HOUR, *names)
        connection.execute(
            text("update sync.sync_klaviyo__loyalty_events set operation = 'single'")
        )

    def throw(number: int) -> None:
        if number == 1:
            with bare.begin() as connection:
                switches.stop(connection, TENANT, "klaviyo", "wrong discount")

    server = serve(before_answer=throw)
    report = send_now(built, "loyalty")
    assert report.notes[0].startswith("klaviyo: stopped by hand since")
    assert "wrong discount" in report.notes[0]
    assert report.total("sent") == len(server.events) == courier.CHUNK
    held_back = Counter(state for state, _ in states(bare).values())
    assert held_back == {"accepted": courier.CHUNK, "waiting": 200 - courier.CHUNK}
    assert send_now(built, "loyalty").total("sent") == 0
    with bare.begin() as connection:
        assert switches.start(connection, TENANT, "klaviyo") == 1
    assert send_now(built, "loyalty").total("sent") == 200 - courier.CHUNK
    assert set(server.recordings.values()) == {1}


@pytest.mark.parametrize("switch", [("*", "*"), (TENANT, "*"), ("*", "klaviyo")])
def test_a_switch_for_all_holds_for_each(
    built: Settings, warehouse_database: sqlalchemy.Engine, serve: Serve, switch: tuple[str, str]
) -> None:
    """Prevents: a general stop that somebody's own row escapes."""
    server = serve()
    with warehouse_database.begin() as connection:
        switches.stop(connection, *switch, "incident")
    report = send_now(built, "winback", "loyalty", "client_events")
    assert (report.total("sent"), server.requests) == (0, 0)
    with warehouse_database.connect() as connection:
        assert [(one.tenant_id, one.destination) for one in switches.stopped(connection)] == [
            switch
        ]


def test_a_poisoned_batch_is_cut_until_the_poison_is_alone(
    built: Settings, bare: sqlalchemy.Engine, serve: Serve
) -> None:
    """Prevents: one event that Klaviyo refuses, and that keeps a thousand others from arriving; and
    a dead letter that nobody can send when its cause is gone."""
    server = serve()
    names = [f"p{number:02}" for number in range(20)]
    with bare.begin() as connection:
        add_people(connection, *names)
        add_news(connection, "points_expiring", NOW - HOUR, *names)
    poison = {"points_expiring-p07", "points_expiring-p08", "points_expiring-p19"}
    server.poison = set(poison)
    report = send_now(built, "loyalty")
    assert (report.total("sent"), report.total("rejected")) == (17, 3)
    found = states(bare)
    assert {found[one] for one in poison} == {("rejected", "answered 400: this event is refused")}
    assert send_now(built, "loyalty").total("rejected") == 0
    server.poison.clear()
    with bare.begin() as connection:
        assert replay_rejected(connection, TENANT, "webhook", NOW) == 0
        assert replay_rejected(connection, TENANT, None, NOW) == 3
    assert send_now(built, "loyalty").total("sent") == 3
    assert set(server.recordings.values()) == {1}
    assert len(server.events) == 20


def test_an_answer_that_never_came_is_asked_for_one_by_one(
    built: Settings, bare: sqlalchemy.Engine, serve: Serve
) -> None:
    """Prevents: a bulk job repeated after its answer was lost, which Klaviyo fails as a whole."""
    names = [f"p{number:02}" for number in range(20)]
    with bare.begin() as connection:
        add_people(connection, *names)
        add_news(connection, "points_expiring", NOW - HOUR, *names)
    for failure in ("drop_after", "error_after", "garbage", "drop_before"):
        server = serve(plan=lambda number, _, how=failure: how if number == 1 else None)
        run_sql(bare, "delete from outbox.deliveries")
        assert send_now(built, "loyalty").total("sent") == 20
        assert set(server.recordings.values()) == {1}
        assert len(server.repeats) == (0 if failure == "drop_before" else 20)
        assert (server.per_endpoint["jobs"], server.failed_jobs) == (1, [])


def test_a_job_that_is_worked_on_late_loses_and_doubles_nothing(
    built: Settings, bare: sqlalchemy.Engine, serve: Serve
) -> None:
    """Prevents: 202 taken for the end of it."""
    names = [f"p{number:02}" for number in range(20)]
    with bare.begin() as connection:
        add_people(connection, *names)
        add_news(connection, "points_expiring", NOW - HOUR, *names)
    server = serve(job_delay=4)
    assert send_now(built, "loyalty").total("sent") == 20
    assert server.per_endpoint["job_status"] == 5
    run_sql(bare, "delete from outbox.deliveries")
    server = serve(job_delay=10**6)
    assert send_now(built, "loyalty").total("sent") == 20
    assert server.per_endpoint["events"] == 20
    server.finish_jobs()
    assert set(server.recordings.values()) == {1}
    assert len(server.events) == 20


def test_a_destination_that_is_gone_is_left_alone_until_the_next_run(
    built: Settings, bare: sqlalchemy.Engine, serve: Serve
) -> None:
    """Prevents: hours of patience for each of a thousand messages, or a message given up."""
    names = [f"p{number:03}" for number in range(150)]
    with bare.begin() as connection:
        add_people(connection, *names)
        add_news(connection, "points_expiring", NOW - HOUR, *names)
    waits: list[float] = []
    server = serve(plan=lambda _number, _endpoint: "error_before")
    report = send_now(built, "loyalty", sleep=waits.append)
    assert not report.is_complete
    assert report.notes == ["klaviyo: the destination answered 500"]
    assert server.requests < 1 + 8 * courier.THREADS + courier.THREADS
    assert max(waits) == 64
    assert {state for state, _ in states(bare).values()} == {"unknown"}
    server.plan = lambda _number, _endpoint: None
    assert send_now(built, "loyalty").total("sent") == 150
    assert set(server.recordings.values()) == {1}


def test_a_destination_that_asks_for_time_gets_it(
    built: Settings, bare: sqlalchemy.Engine, serve: Serve
) -> None:
    """Prevents: a destination in trouble that is asked again before it wanted to be, or for whose
    sake a delivery stands still all day."""
    with bare.begin() as connection:
        add_people(connection, "p")
        add_news(connection, "points_expiring", NOW - HOUR, "p")
        connection.execute(
            text("update sync.sync_klaviyo__loyalty_events set operation = 'single'")
        )
    server = serve(plan=lambda number, _: "busy" if number <= 2 else None)
    server.patience = {"Retry-After": "86400"}
    report = send_now(built, "loyalty")
    assert report.notes == ["klaviyo: the destination answered 503"]
    assert server.requests == 1
    server.patience = {"Retry-After": "2"}
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        time.sleep(seconds)

    assert send_now(built, "loyalty", sleep=wait).total("sent") == 1
    assert sum(waits) > 1.5
    assert server.per_endpoint["events"] == 3


def test_wrong_credentials_stop_the_delivery_and_change_nothing(
    built: Settings, bare: sqlalchemy.Engine, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: a thousand dead letters because a key was rotated, and a key in a message."""
    names = [f"p{number:02}" for number in range(5)]
    with bare.begin() as connection:
        add_people(connection, *names)
        add_news(connection, "points_expiring", NOW - HOUR, *names)
    server = serve()
    monkeypatch.setenv("KLAVIYO_API_KEY__AURORA", "pk_rotated")
    report = send_now(built, "loyalty")
    assert report.notes == [
        "klaviyo: the destination refuses our credentials: answered 401: wrong key"
    ]
    assert {state for state, _ in states(bare).values()} == {"waiting"}
    assert server.requests == 1
    monkeypatch.delenv("KLAVIYO_API_KEY__AURORA")
    assert send_now(built, "loyalty").total("sent") == 5


def test_a_destination_that_is_not_connected_is_named(
    built: Settings, warehouse_database: sqlalchemy.Engine, serve: Serve
) -> None:
    """Prevents: a first live run that says nothing of the half it could not send."""
    server = serve()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.delenv("KLAVIYO_API_KEY")
        report = send_now(built)
    assert report.notes == ["klaviyo is not connected: set KLAVIYO_API_KEY"]
    assert report.total("left") > 0
    assert not server.events
    assert server.receipts
    with warehouse_database.connect() as connection:
        enrolled = "select count(*) from outbox.campaign_enrolments"
        assert connection.execute(text(enrolled)).scalar_one() == 0


def test_what_no_model_wants_any_more_is_not_left_waiting(
    built: Settings, bare: sqlalchemy.Engine, serve: Serve
) -> None:
    """Prevents: messages that wait for ever, and look as though they will be sent."""
    serve()
    with bare.begin() as connection:
        add_people(connection, "p")
        for number in range(5):
            add_news(connection, "points_expiring", NOW - HOUR, "p", prefix=f"{number}-")
    send_now(built, "loyalty")
    assert Counter(states(bare).values())[("waiting", "frequency_cap")] == 2
    run_sql(bare, "delete from sync.sync_klaviyo__loyalty_events where customer_id = 'p'")
    send_now(built, "loyalty")
    assert Counter(states(bare).values())[("skipped", "no_longer_wanted")] == 2


def test_lists_are_kept_by_difference(
    built: Settings, bare: sqlalchemy.Engine, serve: Serve
) -> None:
    """Prevents: people taken off a list that somebody else keeps, whom we never put there; and a
    member who came back and is taken off by the message about the stay before."""
    server = serve()
    remove_all = "delete from sync.sync_klaviyo__segment_memberships"
    with bare.begin() as connection:
        add_people(connection, "new", "was-never-there", "comes-back")
        add_moves(connection, "add_to_list", NOW - DAY, "new")
        add_moves(connection, "add_to_list", NOW - DAY, "comes-back")
        add_moves(connection, "remove_from_list", NOW - DAY, "was-never-there")
    report = send_now(built, "segments")
    assert (report.total("sent"), report.total("skipped")) == (2, 1)
    assert states(bare)["remove_from_list-was-never-there-1"] == ("skipped", "never_added")
    assert server.members("L") == {email_of("new"), email_of("comes-back")}
    run_sql(bare, remove_all)
    with bare.begin() as connection:
        add_moves(connection, "remove_from_list", NOW - HOUR, "comes-back")
    assert send_now(built, "segments").total("sent") == 1
    assert server.members("L") == {email_of("new")}
    run_sql(bare, remove_all)
    with bare.begin() as connection:
        add_moves(connection, "add_to_list", NOW - HOUR, "comes-back", spell=2)
    assert send_now(built, "segments").total("sent") == 1
    assert server.members("L") == {email_of("new"), email_of("comes-back")}


def test_moves_of_one_list_leave_in_one_request(
    built: Settings, bare: sqlalchemy.Engine, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: a segment that takes hours because each member is a request, a request that is
    larger than Klaviyo takes, and members that end on the list of another segment."""
    server = serve()
    names = [f"p{number:04}" for number in range(1_003)]
    monkeypatch.setattr(courier, "PAGE", 2_000)
    with bare.begin() as connection:
        add_people(connection, *names)
        add_moves(connection, "add_to_list", NOW - DAY, *names)
        add_moves(connection, "add_to_list", NOW - DAY, *names[:2], list_id="M")
    assert send_now(built, "segments").total("sent") == 1_005
    assert server.moves == [("POST", "L", 1_000), ("POST", "L", 3), ("POST", "M", 2)]
    assert server.members("L") == {email_of(name) for name in names}
    run_sql(bare, "delete from sync.sync_klaviyo__segment_memberships")
    with bare.begin() as connection:
        add_moves(connection, "remove_from_list", NOW - HOUR, *names[1:])
        add_moves(connection, "add_to_list", NOW - HOUR, names[2], list_id="M")
    assert send_now(built, "segments").total("sent") == 1_003
    assert server.moves[3:] == [("DELETE", "L", 1_000), ("DELETE", "L", 2), ("POST", "M", 1)]
    assert server.members("L") == {email_of(names[0])}
    assert server.members("M") == {email_of(name) for name in names[:3]}


def test_members_whom_klaviyo_does_not_know_keep_nobody_off_a_list(
    built: Settings, bare: sqlalchemy.Engine, serve: Serve
) -> None:
    """Prevents: one profile that is gone, and because of which a thousand others never get onto
    their list; and a replay that puts people on a list whose segment they have left."""
    server = serve()
    names = [f"p{number:02}" for number in range(20)]
    with bare.begin() as connection:
        add_people(connection, *names)
        add_moves(connection, "add_to_list", NOW - HOUR, *names)
    gone = {"p07", "p08", "p19"}
    server.vanished = {email_of(name) for name in gone}
    report = send_now(built, "segments")
    assert (report.total("sent"), report.total("rejected")) == (17, 3)
    assert server.members("L") == {email_of(name) for name in names if name not in gone}
    found = states(bare)
    for name in sorted(gone):
        state, reason = found[f"add_to_list-{name}-1"]
        assert state == "rejected"
        assert reason == f"answered 404: no profile {server.profiles[email_of(name)]}"
    assert send_now(built, "segments").total("rejected") == 0
    # one has left the segment meanwhile
    run_sql(bare, "delete from sync.sync_klaviyo__segment_memberships where customer_id = 'p07'")
    server.vanished.clear()
    with bare.begin() as connection:
        assert replay_rejected(connection, TENANT, "klaviyo", NOW) == 2
    assert send_now(built, "segments").total("sent") == 2
    assert server.members("L") == {email_of(name) for name in names if name != "p07"}


def test_moves_whose_answer_never_came_are_repeated_together(
    built: Settings, bare: sqlalchemy.Engine, serve: Serve
) -> None:
    """Prevents: a list that is one request short or long after a lost answer, and minutes of single
    requests after a crash."""
    names = [f"p{number:02}" for number in range(20)]
    with bare.begin() as connection:
        add_people(connection, *names)
        add_moves(connection, "add_to_list", NOW - HOUR, *names)
    for failure in ("drop_after", "error_after", "garbage", "drop_before"):
        times = Counter[str]()

        def fail_first(_number: int, endpoint: str, how: Any = failure, seen: Any = times) -> Any:
            seen[endpoint] += 1
            return how if endpoint == "lists" and seen[endpoint] == 1 else None

        server = serve(plan=fail_first)
        run_sql(bare, "delete from outbox.deliveries")
        assert send_now(built, "segments").total("sent") == 20
        assert len(server.members("L")) == 20
        assert {count for _, _, count in server.moves} == {20}
        assert server.per_endpoint["lists"] == 2
    server = serve(plan=lambda _, endpoint: "error_after" if endpoint == "lists" else None)
    run_sql(bare, "delete from outbox.deliveries")
    assert not send_now(built, "segments").is_complete
    assert {state for state, _ in states(bare).values()} == {"unknown"}
    server.plan = lambda _number, _endpoint: None
    server.moves.clear()
    assert send_now(built, "segments").total("sent") == 20
    assert server.moves == [("POST", "L", 20)]


def test_a_code_is_made_once_whatever_becomes_of_the_answer(
    built: Settings, bare: sqlalchemy.Engine, serve: Serve
) -> None:
    """Prevents: a code reported as refused because our own first try had made it."""
    with bare.begin() as connection:
        add_people(connection, "p")
        add_news(connection, "reward_code", NOW - HOUR, "p")
        connection.execute(
            text(
                "update sync.sync_klaviyo__loyalty_events set destination = 'shopify', "
                "operation = 'create_discount_code', purpose = 'discount_code', payload = :code "
                "where customer_id = 'p'"
            ),
            {
                "code": '{"code": "K7QD", "discount_type": "fixed_amount", "value": 5, '
                '"starts_at": "2026-07-01T00:00:00Z"}'
            },
        )
    server = serve(plan=lambda number, _: "drop_after" if number == 1 else None)
    assert send_now(built, "loyalty").total("sent") == 1
    assert set(server.codes) == {"K7QD"}
    assert server.per_endpoint["graphql"] == 2


def test_a_destination_forgets_whom_it_must(
    built: Settings, bare: sqlalchemy.Engine, serve: Serve
) -> None:
    """Prevents: somebody forgotten here whom the destination goes on knowing, and a request that is
    given up because one call failed."""
    server = serve(plan=lambda number, _: "error_before" if number == 1 else None)
    with bare.begin() as connection:
        for destination, kind, address in (
            ("klaviyo", "email", "gone@example.com"),
            ("klaviyo", "phone", "+491715550100"),
            ("webhook", "email", "gone@example.com"),
        ):
            connection.execute(
                text(
                    "insert into outbox.profile_deletions (message_id, tenant_id, destination, "
                    "payload, requested_at) values (:id, 'aurora', :destination, "
                    "jsonb_build_object(cast(:kind as text), cast(:address as text)), now())"
                ),
                {
                    "id": f"forget-{destination}" + ("-phone" if kind == "phone" else ""),
                    "destination": destination,
                    "kind": kind,
                    "address": address,
                },
            )
    assert send_now(built, "loyalty").forgotten == 3
    assert server.forgotten == {"gone@example.com": 1, "+491715550100": 1}
    assert json.loads(server.bodies["forget-webhook"]) == {
        "id": "forget-webhook",
        "type": "delete_profile",
        "email": "gone@example.com",
    }
    assert send_now(built, "loyalty").forgotten == 0


def test_an_undeclared_purpose_is_refused_by_name(
    built: Settings, bare: sqlalchemy.Engine, serve: Serve
) -> None:
    """Prevents: a new kind of message that asks for nobody's consent because nobody said so."""
    server = serve()
    with bare.begin() as connection:
        add_people(connection, "p")
        add_news(connection, "birthday", NOW - HOUR, "p")
    with pytest.raises(SendingError, match="purpose 'birthday' for klaviyo"):
        send_now(built, "loyalty")
    assert server.requests == 0


def test_a_destination_that_allows_less_than_we_thought_is_obeyed(
    built: Settings, bare: sqlalchemy.Engine, serve: Serve
) -> None:
    """Prevents: messages lost to 429, and an account locked because nobody waited as asked."""
    windows: Windows = {"events": (5, 60)}
    server = serve(windows=windows)
    names = [f"p{number:02}" for number in range(12)]
    with bare.begin() as connection:
        add_people(connection, *names)
        add_news(connection, "points_expiring", NOW - HOUR, *names)
        connection.execute(
            text("update sync.sync_klaviyo__loyalty_events set operation = 'single'")
        )
    ours = {**UNLIMITED, "events": Limits(50, 600)}
    report = send_now(built, "loyalty", limits=ours, sleep=time.sleep)
    assert report.total("sent") == 12
    assert server.too_many > 0
    assert set(server.recordings.values()) == {1}


def run_command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def test_live_is_said_with_the_tenant(
    built: Settings, serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prevents: everybody's messages sent by a command that meant to show one tenant's."""
    server = serve()
    assert run_command("deliver", "--live") == 2
    assert "name the tenant" in capsys.readouterr().err
    assert run_command("deliver", "--live", "--tenant", "nobody") == 1
    assert "known: aurora" in capsys.readouterr().err
    assert server.requests == 0


def test_a_live_delivery_from_the_command_line_shows_in_the_ui(
    built: Settings,
    bare: sqlalchemy.Engine,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Prevents: a delivery that the UI does not know, counts that differ from what was sent, and a
    key in the records."""
    server = serve()
    with bare.begin() as connection:
        add_people(connection, "a", "b")
        add_candidates(connection, "a")
        add_invitations(connection, NOW - HOUR, "a")
        add_news(connection, "points_earned", NOW - HOUR, "a", "b")
        add_moves(connection, "add_to_list", NOW - HOUR, "b")
    monkeypatch.setenv("JOURNEY_MAX_BUILD_AGE_HOURS", "1000000")
    assert run_command("deliver", "--live", "--tenant", TENANT, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    sent = Counter({one["output"]: 0 for one in report["purposes"]})
    for one in report["purposes"]:
        sent[one["output"]] += one["sent"]
    assert sent.total() == arrived(server) == 4
    with dg.DagsterInstance.from_config(str(built.home / "dagster")) as instance:
        (run,) = instance.get_runs(dg.RunsFilter(tags=DELIVERY_TAG))
        assert run.is_success
        entries = instance.all_logs(run.run_id)
    made = {
        entry.asset_materialization.asset_key.to_user_string(): entry.asset_materialization.metadata
        for entry in entries
        if entry.asset_materialization
    }
    assert {name: made[f"{name}_outputs"]["sent"].value for name in OUTPUTS} == {
        name: sent[name] for name in OUTPUTS
    }
    assert made["marketing_export"]["rows"].value > 0
    assert KLAVIYO_KEY not in "".join(map(str, entries))
    assert run_command("deliver", "--live", "--tenant", TENANT) == 0
    assert "0 messages of aurora sent" in capsys.readouterr().out


def test_a_closed_gate_is_one_message(
    built: Settings, serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prevents: messages of last year's build, and a refusal buried in tracebacks."""
    server = serve()
    assert run_command("deliver", "--live", "--tenant", TENANT) == 1
    captured = capsys.readouterr()
    assert captured.err.count("so nothing is sent") == 1
    assert "Traceback" not in captured.err
    assert server.requests == 0


def test_sending_is_stopped_and_started_by_commands(
    built: Settings, bare: sqlalchemy.Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prevents: a switch that nobody sees, that a slip of the pen leaves open, or that stays."""
    assert run_command("sending", "stop", "--destination", "klavijo") == 2
    assert "there is no destination klavijo" in capsys.readouterr().err
    stop = ("--tenant", TENANT, "--destination", "klaviyo")
    assert run_command("sending", "stop", *stop, "--reason", "wrong price") == 0
    assert run_command("sending", "stop") == 0
    capsys.readouterr()
    run_command("status")
    shown = capsys.readouterr().out
    assert "tenant aurora, destination klaviyo" in shown
    assert "wrong price" in shown
    assert run_command("sending", "start") == 0
    assert "Still stopped: tenant aurora" in capsys.readouterr().out
    assert run_command("sending", "start", *stop) == 0
    assert "Nothing is stopped any more" in capsys.readouterr().out
    with bare.begin() as connection:
        connection.execute(
            text(
                "insert into outbox.deliveries (message_id, tenant_id, destination, operation, "
                "purpose, payload, state, reason, created_at, updated_at) values ('dead', "
                "'aurora', 'klaviyo', 'create_event', 'winback', '{}', 'rejected', 'no', now(), "
                "now())"
            )
        )
    assert run_command("sending", "replay", "--tenant", TENANT) == 0
    assert "1 messages will be tried again" in capsys.readouterr().out
    assert states(bare)["dead"] == ("unknown", "replayed: no")


def test_the_export_leaves_out_who_may_not_be_written_to(
    built: Settings, bare: sqlalchemy.Engine
) -> None:
    """Prevents: a list with people who withdrew after the build, cells that a spreadsheet runs, and
    formats that disagree."""
    names = {"plain": "Ada", "formula": "=1+1", "withdrew": "Ben", "withdrew-has-sms": "Cleo"}
    # what each said about text messages after the build, to whom
    texts = {
        "no-texts": ("consent_changes", "false"),
        "no-texts-at-klaviyo": ("klaviyo_profiles", "unsubscribed"),
        "neither": ("consent_changes", "false"),
        "texts-again": ("consent_changes", "true"),
    }
    names |= dict.fromkeys(texts, "Eve")
    phones = {name: f"+4930{number}" for number, name in enumerate(("withdrew-has-sms", *texts))}
    with bare.begin() as connection:
        connection.execute(
            text(
                "delete from marts.customer_marketing_export where customer_id <> ("
                "select min(customer_id) from marts.customer_marketing_export "
                "where tenant_id = 'aurora')"
            )
        )
        add_people(connection, *names, "erased")
        clone(
            connection,
            "marts.customer_marketing_export",
            *(
                {
                    "customer_id": name,
                    "email": email_of(name),
                    "phone": phones.get(name),
                    "is_reachable_by_email": True,
                    "is_reachable_by_sms": name in phones,
                    "first_name": names.get(name, "Dan"),
                    "lifetime_value": 12.5,
                }
                for name in (*names, "erased")
            ),
        )
        for name in ("withdrew", "withdrew-has-sms", "neither"):
            connection.execute(
                text(
                    "insert into raw.consent_changes (tenant_id, id, email, channel, subscribed, "
                    "changed_at, _load_id, _line, _loaded_at, _is_current) values ('aurora', :id, "
                    ":email, 'email', false, '2026-07-01T00:30:00Z', 1, 1, now(), true)"
                ),
                {"id": name, "email": email_of(name)},
            )
        for name, (source, word) in texts.items():
            written = phones[name].replace("+49", "0")
            connection.execute(
                text(
                    "insert into raw.phone_numbers (tenant_id, phone, region, e164) "
                    "values ('aurora', :written, 'DE', :phone)"
                ),
                {"written": written, "phone": phones[name]},
            )
            own, said = (
                ("phone, channel, subscribed, changed_at", f"'sms', {word}")
                if source == "consent_changes"
                else ("phone_number, created, sms_consent, sms_consent_at", f"now(), '{word}'")
            )
            connection.execute(
                text(
                    f"insert into raw.{source} (tenant_id, id, {own}, _load_id, _line, "
                    f"_loaded_at, _is_current) values ('aurora', :id, :phone, {said}, "
                    "'2026-07-01T00:30:00Z', 1, 1, now(), true)"
                ),
                {"id": f"texts-{name}", "phone": written},
            )
        connection.execute(
            text(CHANGES["erased-by-email"][1]), {"email": email_of("erased"), "load": 1}
        )
    report = write_export(built, TENANT, NOW)
    folder = built.home / "exports" / TENANT
    assert {file.suffix for file in report.files} == {".csv", ".jsonl", ".parquet"}
    with (folder / "customer_marketing_export.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["customer_id"]: row for row in csv.DictReader(file)}
    lines = (folder / "customer_marketing_export.jsonl").read_text().splitlines()
    as_json = {row["customer_id"]: row for row in map(json.loads, lines)}
    as_parquet = {
        row["customer_id"]: row
        for row in parquet.read_table(folder / "customer_marketing_export.parquet").to_pylist()
    }
    assert set(rows) == set(as_json) == set(as_parquet)
    assert len(rows) == report.rows
    assert {*names, "erased"} - set(rows) == {"withdrew", "neither", "erased"}
    assert (rows["formula"]["first_name"], as_json["formula"]["first_name"]) == ("'=1+1", "=1+1")
    for name, email, phone in (
        ("withdrew-has-sms", "", phones["withdrew-has-sms"]),
        ("no-texts", email_of("no-texts"), ""),
        ("no-texts-at-klaviyo", email_of("no-texts-at-klaviyo"), ""),
        ("texts-again", email_of("texts-again"), phones["texts-again"]),
    ):
        assert (rows[name]["email"], rows[name]["phone"]) == (email, phone), name
        assert as_json[name]["is_reachable_by_email"] is bool(email)
        assert as_parquet[name]["is_reachable_by_sms"] is bool(phone)
    assert as_parquet["plain"]["lifetime_value"] == Decimal("12.50")
    with bare.begin() as connection:
        switches.stop(connection, TENANT, "files", "audit")
    assert write_export(built, TENANT, NOW).files == ()
