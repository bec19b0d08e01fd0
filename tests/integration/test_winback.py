"""Win-back campaigns: who takes part is decided once, and followed to the end."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier

import pytest
import sqlalchemy

from orchestration.activation.deliver import deliver
from orchestration.activation.enrolment import Enrolled, enrol
from orchestration.activation.gate import GateClosed, require_success
from orchestration.settings import Settings
from orchestration.warehouse.builds import BuildRunning, building
from orchestration.warehouse.database import engine
from tests.reference.histories import World
from tests.reference.seeds import Tenant
from tests.reference.warehouse import Warehouse
from tests.reference.winback import Campaign, Delivery, Enrolment

from .conftest import Worlds
from .loyalty_files import arrive, order

PROCESSES = 8
DAY = timedelta(days=1)
AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
ENROLLED = "select * from outbox.campaign_enrolments order by tenant_id, campaign_id, customer_id"
CANDIDATES = "select tenant_id, campaign_id, customer_id from intermediate.int_winback__candidates"


@pytest.fixture
def database_of_built(built: Settings) -> Iterator[sqlalchemy.Engine]:
    made = engine(built)
    yield made
    made.dispose()


def run(database: sqlalchemy.Engine, tenant_id: str | None = None) -> tuple[Enrolled, ...]:
    """Enrol as a sender does."""
    with database.begin() as connection:
        return enrol(connection, require_success(connection), tenant_id)


def rows(database: sqlalchemy.Engine, query: str) -> list[tuple[object, ...]]:
    with database.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def run_at_once(settings: Settings, start: Barrier) -> None:
    """Enrol when everybody is ready."""
    database = engine(settings)
    start.wait()
    run(database)
    database.dispose()


def test_senders_that_run_at_once_enrol_everybody_once(
    built: Settings, database_of_built: sqlalchemy.Engine
) -> None:
    """Prevents a sender that fails on the other's rows, and people who are enrolled in halves."""
    context = multiprocessing.get_context("fork")
    start = context.Barrier(PROCESSES)
    senders = [context.Process(target=run_at_once, args=(built, start)) for _ in range(PROCESSES)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert {sender.exitcode for sender in senders} == {0}
    candidates = rows(database_of_built, CANDIDATES)
    assert len(candidates) > 2
    assert {row[:3] for row in rows(database_of_built, ENROLLED)} == set(candidates)
    assert run(database_of_built) == ()


def test_whoever_was_enrolled_under_an_old_id_is_enrolled(
    database_of_built: sqlalchemy.Engine,
) -> None:
    """Prevents a second message to somebody whose records were merged since the first."""
    tenant_id, campaign_id, customer_id = rows(database_of_built, CANDIDATES)[0]
    values = {"tenant": tenant_id, "campaign": campaign_id, "customer": customer_id}
    with database_of_built.begin() as connection:
        connection.exec_driver_sql(
            "insert into marts.customer_redirects "
            "values (%(tenant)s, 'old', %(customer)s, now(), 'merged')",
            values,
        )
        connection.exec_driver_sql(
            "insert into outbox.campaign_enrolments values (%(tenant)s, %(campaign)s, 'old', "
            "'message to the old', now(), false, gen_random_uuid(), now())",
            values,
        )
    run(database_of_built)
    enrolled = {row[:3] for row in rows(database_of_built, ENROLLED)}
    assert (tenant_id, campaign_id, customer_id) not in enrolled
    assert len(enrolled) == len(rows(database_of_built, CANDIDATES))


def test_only_a_live_run_enrols_and_only_its_tenant(
    built: Settings, database_of_built: sqlalchemy.Engine
) -> None:
    """Prevents a look at the messages from using up a campaign's people."""
    deliver(built)
    assert rows(database_of_built, ENROLLED) == []
    tenants = {tenant_id for tenant_id, *_ in rows(database_of_built, CANDIDATES)}
    assert len(tenants) > 1
    chosen = min(tenants)
    counts = run(database_of_built, chosen)
    enrolled = rows(database_of_built, ENROLLED)
    assert {row[0] for row in enrolled} == {chosen}
    assert sum(one.recipients + one.held_out for one in counts) == len(enrolled)


def test_nobody_is_enrolled_on_marts_that_change(database_of_built: sqlalchemy.Engine) -> None:
    """Prevents enrolments of which some stand on one build and some on the next."""
    with database_of_built.connect() as connection:
        vouched = require_success(connection)
    with building(database_of_built) as opened:
        with database_of_built.begin() as connection, pytest.raises(BuildRunning):
            enrol(connection, vouched)
        opened.succeed("whole")
    with (
        database_of_built.begin() as connection,
        pytest.raises(GateClosed, match="has replaced the marts"),
    ):
        enrol(connection, vouched)
    assert rows(database_of_built, ENROLLED) == []


TENANT = Tenant("winback", "Europe/Berlin", "EUR", "DE")
COME_BACK = Campaign(
    campaign_id="come-back",
    target_stages="at_risk|churned",
    min_days_inactive=None,
    max_days_inactive=None,
    min_lifetime_value=None,
    target_collections=None,
    send_delay_days=0,
    attribution_days=30,
    holdout_percent=0,
    max_recipients_per_run=500,
    status="active",
    starts_at=AS_OF - 300 * DAY,
    ends_at=None,
    klaviyo_flow_id=None,
    discount_code="BACK10",
)
NOBODY_SENT = Campaign(**{**vars(COME_BACK), "campaign_id": "held", "holdout_percent": 100})
PEOPLE = ("ada", "ada_work", "ben", "cleo", "dora")


def subscribe(name: str) -> dict[str, object]:
    return {
        "id": f"cc-{name}",
        "email": f"{name}@example.com",
        "channel": "email",
        "subscribed": True,
        "changed_at": AS_OF - 120 * DAY,
    }


def recipients(warehouse: Warehouse) -> dict[tuple[str, str], tuple[str, object]]:
    """Status and skip reason of each recipient of a campaign, by e-mail."""
    return {
        (row["campaign_id"], row["email"].partition("@")[0]): (row["status"], row["skip_reason"])
        for row in warehouse.query(
            "select recipients.*, email from marts.winback_recipients as recipients "
            "inner join marts.customers using (tenant_id, customer_id)"
        )
    }


def triggers(warehouse: Warehouse) -> set[tuple[str, str]]:
    return {
        (row["email"].partition("@")[0], row["trigger_reference_id"])
        for row in warehouse.query(
            "select * from marts.stage_transitions "
            "inner join marts.customers using (tenant_id, customer_id) "
            "where trigger_type = 'winback_recovery'"
        )
    }


def send(warehouse: Warehouse, name: str, at: datetime) -> None:
    """Say that the destination took the message to somebody who is enrolled."""
    (row,) = warehouse.query(
        "select enrolments.* from outbox.campaign_enrolments as enrolments "
        "inner join marts.customers using (tenant_id, customer_id) "
        f"where campaign_id = 'come-back' and email = '{name}@example.com'"
    )
    enrolment = Enrolment("come-back", row["customer_id"], row["enrolled_at"], is_held_out=False)
    warehouse.record(TENANT.tenant_id, {enrolment: Delivery("accepted", at)})


def test_a_campaign_is_followed_by_partial_builds_as_by_whole_ones(
    worlds_warehouse: Worlds,
) -> None:
    """Prevents a message, an order or a merge that only a whole build sees, and a second message
    to somebody who was two people."""
    world = World(0, TENANT, ((),), campaigns=(COME_BACK, NOBODY_SENT))
    with worlds_warehouse([world]) as warehouse:
        bought = AS_OF - 100 * DAY
        buyers = [order(f"o-{name}", f"{name}@example.com", bought) for name in PEOPLE]
        arrive(warehouse, TENANT, "shopify_orders", *buyers)
        arrive(warehouse, TENANT, "consent_changes", *map(subscribe, PEOPLE))
        warehouse.build(AS_OF)
        planned = {row["message_id"] for row in messages(warehouse)}
        assert len(planned) == len(PEOPLE)
        database = engine(warehouse.settings)
        assert run(database) == (
            Enrolled("winback", "come-back", len(PEOPLE), 0),
            Enrolled("winback", "held", 0, len(PEOPLE)),
        )
        database.dispose()
        for name in ("ada", "ben", "dora"):
            send(warehouse, name, AS_OF + DAY)

        came_back = order("o-again", "ben@example.com", AS_OF + 5 * DAY, "back10")
        came_back["refunds"] = [refund(AS_OF + 20 * DAY)]
        skipped = order("o-unsent", "cleo@example.com", AS_OF + 2 * DAY)
        arrive(warehouse, TENANT, "shopify_orders", came_back, skipped)
        arrive(warehouse, TENANT, "leads", *both_are_ada())
        warehouse.build(AS_OF + 10 * DAY)
        assert {key: told for key, told in recipients(warehouse).items() if key[0] != "held"} == {
            ("come-back", "ada"): ("sent", None),
            ("come-back", "ben"): ("recovered", None),
            ("come-back", "cleo"): ("skipped", "purchased_since_enrolment"),
            ("come-back", "dora"): ("sent", None),
        }
        assert triggers(warehouse) == {("ben", "campaign:come-back")}
        assert messages(warehouse) == []
        assert told(warehouse) == {"sent_count": 3, "recovered_count": 1, "recovered_amount": 300}

        warehouse.build(AS_OF + 31 * DAY)
        assert recipients(warehouse)["come-back", "ben"] == ("expired", None)
        assert triggers(warehouse) == set()
        assert told(warehouse) == {"sent_count": 3, "recovered_count": 0, "recovered_amount": 0}
        partial = warehouse.contents(("marts", "sync"))
        warehouse.build(AS_OF + 31 * DAY, full_refresh=True)
        assert warehouse.contents(("marts", "sync")) == partial


def messages(warehouse: Warehouse) -> list[dict[str, object]]:
    return warehouse.query("select message_id from sync.sync_klaviyo__winback_events")


def told(warehouse: Warehouse) -> dict[str, object]:
    (row,) = warehouse.query(
        "select sent_count, recovered_count, recovered_amount from marts.winback_performance "
        "where campaign_id = 'come-back'"
    )
    return row


def refund(at: datetime) -> dict[str, object]:
    moved = {"kind": "refund", "status": "success", "amount": "300.00"}
    return {"id": "r-again", "created_at": at.isoformat(), "transactions": [moved]}


def both_are_ada() -> list[dict[str, object]]:
    """A phone that ties two addresses."""
    return [
        {
            "id": f"l-{name}",
            "email": f"{name}@example.com",
            "phone": "+49 171 2300001",
            "captured_at": AS_OF - 110 * DAY,
        }
        for name in ("ada", "ada_work")
    ]
