"""Metrics of the semantic layer against the marts, and exposures against what they stand for.

A metric is computed from its declaration: the aggregations, expressions and ratios of the manifest,
as SQL over the table it names. An element that this reading does not know fails the test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy

from orchestration.activation.destinations.files import EXPORT
from orchestration.activation.message import OUTPUTS
from orchestration.dashboard import customers
from orchestration.dashboard.panels import Panel, load_pages
from orchestration.settings import Settings
from orchestration.transform import load_manifest_json
from orchestration.warehouse.database import engine

Manifest = Mapping[str, Any]
PerTenant = dict[str, Decimal]

AGGREGATIONS = {
    "sum": "sum({})",
    "count": "count({})",
    "sum_boolean": "count(*) filter (where {})",
}
KNOWN_OF_A_METRIC = {"measure", "numerator", "denominator", "input_measures"}
READ = re.compile(r"\b(?:from|join) marts\.(\w+)")

# A second way to each number: a mart that another model computes.
MARTS_SAY = {
    "customer_count": "select tenant_id, customers from marts.journey_analytics "
    "where dimension = 'total'",
    "lifetime_value_amount": "select tenant_id, sum(net_amount_tenant) from marts.orders "
    "where is_counted group by tenant_id",
    "average_lifetime_value": "select tenant_id, average_lifetime_value "
    "from marts.journey_analytics where dimension = 'total'",
    "buyer_count": "select tenant_id, count(distinct customer_id) from marts.orders "
    "where is_counted group by tenant_id",
    "repeat_buyer_count": "select tenant_id, count(*) filter (where orders > 1) from (select "
    "tenant_id, count(*) as orders from marts.orders where is_counted "
    "group by tenant_id, customer_id) as buyers group by tenant_id",
    "repeat_rate": "select tenant_id, avg(case when orders > 1 then 1.0 else 0 end) from (select "
    "tenant_id, count(*) as orders from marts.orders where is_counted "
    "group by tenant_id, customer_id) as buyers group by tenant_id",
    "lead_reached_count": "select tenant_id, customers from marts.journey_funnel "
    "where step = 'leads'",
    "customer_reached_count": "select tenant_id, customers from marts.journey_funnel "
    "where step = 'customers'",
    "lead_conversion_rate": "select tenant_id, conversion_rate from marts.journey_funnel "
    "where step = 'customers'",
    "overall_conversion_rate": "select tenant_id, overall_rate from marts.journey_funnel "
    "where step = 'customers'",
    "order_count": "select tenant_id, sum(orders) from marts.customer_cohorts group by tenant_id",
    "revenue_amount": "select tenant_id, sum(net_amount) from marts.customer_cohorts "
    "group by tenant_id",
    "average_order_value": "select tenant_id, sum(lifetime_value) / sum(total_orders) "
    "from marts.customers group by tenant_id",
    "member_count": "select tenant_id, member_count from marts.loyalty_overview",
    "points_liability": "select tenant_id, points_outstanding from marts.loyalty_overview",
    "winback_sent_count": "select tenant_id, sum(sent_count) from marts.winback_performance "
    "group by tenant_id",
    "recovered_count": "select tenant_id, sum(recovered_count) from marts.winback_performance "
    "group by tenant_id",
    "recovery_rate": "select tenant_id, sum(recovered_count) / nullif(sum(sent_count), 0) "
    "from marts.winback_performance group by tenant_id",
    "recovered_revenue_amount": "select tenant_id, sum(recovered_amount) "
    "from marts.winback_performance group by tenant_id",
}


@pytest.fixture(scope="module")
def manifest(built_once: Settings) -> Manifest:
    return load_manifest_json(built_once)


@pytest.fixture(scope="module")
def database(built_once: Settings) -> Iterator[sqlalchemy.Connection]:
    """A connection whose transactions are never kept."""
    made = engine(built_once)
    with made.connect() as connection:
        yield connection
    made.dispose()


def ask(database: sqlalchemy.Connection, query: str) -> PerTenant:
    """A number per tenant; tenants without one are left out, like those with nothing to count."""
    rows = database.exec_driver_sql(query).all()
    return {tenant: Decimal(number) for tenant, number in rows if number}


def evaluate(manifest: Manifest, database: sqlalchemy.Connection, name: str) -> PerTenant:
    """A metric per tenant, from its declaration alone."""
    metric = manifest["metrics"][f"metric.journey_warehouse.{name}"]
    parameters = {key for key, value in metric["type_params"].items() if value}
    assert parameters <= KNOWN_OF_A_METRIC, (name, parameters)
    assert not metric["filter"], name
    if metric["type"] == "simple":
        asked = metric["type_params"]["measure"]
        assert not asked["filter"], name
        return measure(manifest, database, asked["name"])
    assert metric["type"] == "ratio", name
    parts = [metric["type_params"][part] for part in ("numerator", "denominator")]
    assert not any(part["filter"] or part["offset_window"] for part in parts), name
    above, below = (evaluate(manifest, database, part["name"]) for part in parts)
    return {tenant: number / below[tenant] for tenant, number in above.items()}


def measure(manifest: Manifest, database: sqlalchemy.Connection, name: str) -> PerTenant:
    (found,) = [
        (model, declared)
        for model in manifest["semantic_models"].values()
        for declared in model["measures"]
        if declared["name"] == name
    ]
    model, declared = found
    assert not declared["non_additive_dimension"], name
    relation = model["node_relation"]
    aggregation = AGGREGATIONS[declared["agg"]].format(declared["expr"] or declared["name"])
    return ask(
        database,
        f"select tenant_id, {aggregation} "
        f"from {relation['schema_name']}.{relation['alias']} group by tenant_id",
    )


def test_every_metric_is_held_against_a_mart(manifest: Manifest) -> None:
    """Prevents a new metric that nothing checks."""
    assert {metric["name"] for metric in manifest["metrics"].values()} == set(MARTS_SAY)


@pytest.mark.parametrize("name", sorted(MARTS_SAY))
def test_metric_equals_mart(manifest: Manifest, database: sqlalchemy.Connection, name: str) -> None:
    """Prevents a metric that parses but says another number than the mart and the dashboard."""
    told = ask(database, MARTS_SAY[name])
    found = evaluate(manifest, database, name)
    assert set(found) == set(told)
    places = Decimal("0.0001") if name.endswith("_rate") else Decimal("0.01")
    for tenant, number in told.items():
        assert abs(found[tenant] - number) < places, tenant


def test_metrics_have_something_to_say(database: sqlalchemy.Connection) -> None:
    """Prevents comparisons of nothing with nothing: the sample must fill every number's mart,
    but for those of campaigns, which need messages that were really sent."""
    silent = {"recovered_count", "recovery_rate", "recovered_revenue_amount", "winback_sent_count"}
    assert {name for name, query in MARTS_SAY.items() if not ask(database, query)} == silent


def test_metrics_of_campaigns(manifest: Manifest, database: sqlalchemy.Connection) -> None:
    """Prevents a recovery rate that counts the held-out, or people who were never written to."""
    recipients = {
        # status, held out, sent, recovered amount
        "won-back": ("recovered", False, True, 40),
        "lost": ("expired", False, True, None),
        "waiting": ("pending", False, False, None),
        "held-out-and-back": ("held_out", True, False, 70),
    }
    with database.begin_nested() as undone:
        for customer_id, (status, is_held_out, was_sent, amount) in recipients.items():
            database.execute(
                sqlalchemy.text(
                    "insert into marts.winback_recipients (tenant_id, campaign_id, customer_id, "
                    "status, enrolled_at, is_held_out, is_compared, due_at, message_id, sent_at, "
                    "recovered_amount, currency) values ('tenant', 'campaign', :customer_id, "
                    ":status, :at, :is_held_out, true, :at, 'message', "
                    "case when :was_sent then cast(:at as timestamptz) end, :amount, 'EUR')"
                ),
                {
                    "customer_id": customer_id,
                    "status": status,
                    "is_held_out": is_held_out,
                    "was_sent": was_sent,
                    "amount": amount,
                    "at": "2026-01-01T00:00:00Z",
                },
            )
        found = {
            name: evaluate(manifest, database, name)["tenant"]
            for name in MARTS_SAY
            if "winback" in name or "recover" in name
        }
        undone.rollback()
    assert found == {
        "winback_sent_count": 2,
        "recovered_count": 1,
        "recovery_rate": Decimal("0.5"),
        "recovered_revenue_amount": 40,
    }


def test_every_dimension_is_a_column(manifest: Manifest, database: sqlalchemy.Connection) -> None:
    """Prevents a grouping that fails only when somebody asks for it, and one across tenants."""
    for model in manifest["semantic_models"].values():
        names = [dimension["expr"] or dimension["name"] for dimension in model["dimensions"]]
        assert "tenant_id" in names, model["name"]
        keys = [entity["expr"] for entity in model["entities"] if entity["type"] == "primary"]
        relation = model["node_relation"]
        table = f"{relation['schema_name']}.{relation['alias']}"
        database.exec_driver_sql(f"select {', '.join([*names, *keys])} from {table} limit 0")
        rows, distinct = database.exec_driver_sql(
            f"select count(*), count(distinct {keys[0]}) from {table}"
        ).one()
        assert rows == distinct, model["name"]


def test_days_of_metrics_have_no_gap(database: sqlalchemy.Connection) -> None:
    """Prevents a day without a value: the calendar reaches from the first customer to the build."""
    days, first, last, as_expected = database.exec_driver_sql(
        "select count(*), min(day), max(day), min(day) = (select min(first_seen_at at time "
        "zone 'UTC')::date from marts.customers) from intermediate.int_calendar__days"
    ).one()
    assert as_expected
    assert days == (last - first).days + 1
    assert last.isoformat() == "2026-07-01"


def exposed(manifest: Manifest, kind: str) -> dict[str, set[str]]:
    """What the exposures of a kind depend on, by their names."""
    return {
        exposure["name"]: {node.rpartition(".")[2] for node in exposure["depends_on"]["nodes"]}
        for exposure in manifest["exposures"].values()
        if exposure["type"] == kind
    }


def test_every_output_is_an_exposure(manifest: Manifest) -> None:
    """Prevents a message whose makers nobody sees in the lineage, and one that names another."""
    outputs = {f"{output}_outputs": {model} for output, model in OUTPUTS.items()}
    assert exposed(manifest, "application") == outputs | {"marketing_export": {EXPORT}}
    models = {
        node["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["schema"] == "sync"
    }
    assert models == set(OUTPUTS.values())


def test_every_page_is_an_exposure(manifest: Manifest) -> None:
    """Prevents a mart that is changed without knowing which page of the dashboard shows it."""
    pages = {
        name: {
            mart
            for panel in page.panels
            if isinstance(panel, Panel)
            for mart in READ.findall(panel.sql)
        }
        for name, page in load_pages().items()
    }
    # one customer's page belongs to the list, which is written in Python
    pages["customers"] = pages.pop("customer") | {
        value.name
        for value in vars(customers).values()
        if isinstance(value, sqlalchemy.TableClause) and value.schema == "marts"
    }
    pages["customers"].update(*(READ.findall(query) for query in customers.CHOICES.values()))
    assert len(pages) == 7
    assert exposed(manifest, "dashboard") == {
        f"dashboard_{name}": marts for name, marts in pages.items()
    }
