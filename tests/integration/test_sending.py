"""Live deliveries to a server that keeps the destinations' rules: what leaves, and what not."""

from __future__ import annotations

import csv
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import text

from orchestration.activation import outbox, switches
from orchestration.activation import send as engine_module
from orchestration.activation.deliver import deliver
from orchestration.activation.gate import GateClosed
from orchestration.activation.outbox import SendingError, replay_rejected
from orchestration.activation.rates import Limits
from orchestration.activation.send import SendReport, World, send
from orchestration.build import BuildReport
from orchestration.settings import SEEDS_DIR, Settings, get_settings
from orchestration.warehouse.builds import building
from orchestration.warehouse.database import engine_for, parse_url
from orchestration.warehouse.postgres import EmbeddedServer
from tests.conftest import BUILT_TEMPLATE, fresh_database, set_environment
from tests.destinations.people import (
    CAMPAIGN,
    TENANT,
    add_candidates,
    add_invitations,
    add_news,
    add_people,
    email_of,
    forget_everybody,
    keep,
    restore,
)
from tests.destinations.server import Destinations, Windows

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
NOW = AS_OF + timedelta(hours=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ENDPOINTS = ("events", "jobs", "job_status", "profiles", "lists", "graphql", "webhook")
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
    shared: tuple[str, sqlalchemy.Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Settings of the warehouse as it was built."""
    address, database = shared
    with database.begin() as connection:
        restore(connection)
    set_environment(monkeypatch, JOURNEY_HOME=str(tmp_path / "home"), JOURNEY_DATABASE_URL=address)
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
    assert first.total("sent") == shown.total("written") > 50
    assert (second.total("sent"), second.total("left")) == (0, 0)
    assert len(server.events) + len(server.receipts) == first.total("sent")
    assert set(server.recordings.values()) | set(server.receipts.values()) == {1}
    assert server.per_endpoint["events"] == 0
    with warehouse_database.connect() as connection:
        rows = connection.execute(
            text(
                "select tenant_id, state, attempts, sent_at, count(*) from outbox.deliveries "
                "where state <> 'dry_run' group by 1, 2, 3, 4"
            )
        ).all()
    assert [tuple(row[:4]) for row in rows] == [(TENANT, "accepted", 1, NOW)]


def test_no_request_leaves_unless_the_latest_build_vouches(
    built: Settings, warehouse_database: sqlalchemy.Engine, serve: Serve
) -> None:
    """Prevents: messages on the word of a build that is old, running, failed or interrupted."""
    server = serve()
    hours = built.max_build_age_hours
    too_late = AS_OF + timedelta(hours=hours, microseconds=1)
    with pytest.raises(GateClosed, match=r"26\.0 hours ago.*JOURNEY_MAX_BUILD_AGE_HOURS"):
        send_now(built, now=too_late)
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
    monkeypatch.setattr(engine_module, "PAGE", 2)
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
    "held-out": (
        "held_out",
        "insert into outbox.campaign_enrolments select tenant_id, 'aurora-miss-you', customer_id, "
        "'2026-06-30T00:00:00Z', true, gen_random_uuid(), now() from marts.customers "
        "where email = :email",
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
        everybody = (*CHANGES, "nothing-changed", "bought-long-ago", "came-back")
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
        # an order from before the enrolment, and a withdrawal that was taken back
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
    sent = {f"winback-{name}" for name in ("nothing-changed", "bought-long-ago", "came-back")}
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
    """Prevents: a campaign that goes on until the next build although somebody paused it, lowered
    its limit or ended it."""
    server = serve()
    names = [f"p{number}" for number in range(4)]
    with bare.begin() as connection:
        add_people(connection, *names)
        add_candidates(connection, *names)
        add_invitations(connection, NOW - HOUR, *names)

    def say(folder: str, **values: str) -> SendReport:
        change_seeds(monkeypatch, tmp_path / folder, lambda row: row.update(values))
        return send_now(built, "winback")

    assert say("1", status="paused").total("sent") == 0
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
    monkeypatch.setattr(engine_module, "PAGE", 2)

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
    assert report.total("sent") == len(server.events) == engine_module.CHUNK
    held_back = Counter(state for state, _ in states(bare).values())
    assert held_back == {"accepted": engine_module.CHUNK, "waiting": 200 - engine_module.CHUNK}
    assert send_now(built, "loyalty").total("sent") == 0
    with bare.begin() as connection:
        assert switches.start(connection, TENANT, "klaviyo") == 1
    assert send_now(built, "loyalty").total("sent") == 200 - engine_module.CHUNK
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
    assert server.requests < 1 + 8 * engine_module.THREADS + engine_module.THREADS
    assert max(waits) == 64
    assert {state for state, _ in states(bare).values()} == {"unknown"}
    server.plan = lambda _number, _endpoint: None
    assert send_now(built, "loyalty").total("sent") == 150
    assert set(server.recordings.values()) == {1}


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
