"""How soon does the dashboard answer in a warehouse of a million customers?

Run it with `.venv/bin/python bench/dashboard/run.py [--customers N]`. It starts a server of its
own, builds a small sample, multiplies the people of one tenant in the marts that pages list, visits
every page through the application as a browser would, and writes `bench/results/dashboard.md`.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import httpx
import sqlalchemy
from sqlalchemy import text

from orchestration.build import build
from orchestration.dashboard.access import token_for
from orchestration.dashboard.app import Dashboard, make_app
from orchestration.dashboard.panels import load_pages
from orchestration.sample.generate import generate
from orchestration.settings import PROJECT_ROOT, Settings
from orchestration.warehouse.database import engine
from orchestration.warehouse.postgres import EmbeddedServer

RESULT = PROJECT_ROOT / "bench" / "results" / "dashboard.md"
TENANT, AS_OF = "aurora", "2026-07-01T00:00:00Z"
SAMPLE, VISITS = 300, 15
MESSAGES_EACH = 0.5
PEOPLE = """
create temporary table copies as
with originals as (
    select
        customer_id,
        row_number() over (order by customer_id) as place,
        count(*) over () as places
    from marts.customers
    where tenant_id = :tenant
),

drawn as (
    select copy, abs(hashint8extended(copy, 1)) % 1000000 as draw
    from generate_series(1, :customers) as copy
)

select
    drawn.copy,
    drawn.draw,
    originals.customer_id as original_id,
    md5('customer' || drawn.copy) as customer_id,
    (array[
        'Mara', 'Ida', 'Theo', 'Nele', 'Jonas', 'Pia', 'Emil', 'Zoë', 'Wim', 'Rosa', 'Karl', 'Ulla'
    ])[1 + abs(hashint8(drawn.copy)) % 12] as first_name,
    initcap(translate(left(md5('name' || drawn.copy % 60000), 7), '0123456789', 'aeiourstln'))
        as last_name
from drawn
inner join originals on originals.place = 1 + drawn.draw % originals.places
"""
COLUMNS = """
select
    attributes.attname as name,
    attributes.atttypid = 'text'::regtype and exists (
        select 1
        from pg_index
        where
            pg_index.indrelid = attributes.attrelid
            and pg_index.indisunique
            and attributes.attnum = any(pg_index.indkey)
    ) as is_identifier
from pg_attribute as attributes
where attributes.attrelid = cast(:name as regclass) and attributes.attnum > 0
order by attributes.attnum
"""
COPIES = """
insert into {table} ({columns})
select {values}
from copies
inner join {table} as originals
    on originals.tenant_id = :tenant and originals.customer_id = copies.original_id
"""
LISTED = (
    "customers",
    "loyalty_accounts",
    "winback_recipients",
    "reward_redemptions",
    "client_journey",
    "client_journey_scores",
    "client_next_actions",
    "high_risk_clients",
    "upsell_candidates",
)
"""The marts with rows of people that pages list, count or join."""
CHANGED = {
    "customer_id": "copies.customer_id",
    "first_name": "copies.first_name",
    "last_name": "copies.last_name",
    "email": "lower(copies.last_name) || '.' || copies.copy || '@example.com'",
    "phone": "'+49' || 1500000000 + copies.copy",
    "lifetime_value": "round(originals.lifetime_value * (copies.draw % 400 + 1) / 200, 2)",
    "first_seen_at": "originals.first_seen_at - copies.draw * interval '1 minute'",
    "stage_since": "originals.stage_since - copies.draw * interval '1 second'",
}
SHARED = {name: f"originals.{name}" for name in ("tenant_id", "campaign_id")}
WORDS = """
insert into marts.customer_search_words (tenant_id, customer_id, word)
select :tenant, copies.customer_id, words.word
from copies
cross join lateral (
    values
    (lower(copies.first_name)),
    (lower(copies.last_name)),
    (lower(copies.last_name) || '.' || copies.copy || '@example.com'),
    ('+49' || 1500000000 + copies.copy)
) as words (word)
"""
MESSAGES = """
insert into outbox.deliveries (
    message_id, tenant_id, customer_id, destination, operation, purpose, payload, state, reason,
    created_at, updated_at
)
select
    md5('message' || copy), :tenant, customer_id, 'klaviyo', 'create_event',
    (array['winback', 'points_earned', 'tier_reached'])[1 + draw % 3], '{}',
    (array['accepted', 'skipped', 'intended'])[1 + draw % 3],
    (array[null, 'email_not_subscribed', null])[1 + draw % 3],
    timestamptz '2026-06-01' + draw * interval '1 second',
    timestamptz '2026-06-01' + draw * interval '1 second'
from copies
where draw < 1000000 * :share
"""
SEARCHES = {
    "an e-mail": "q={last}.4711@ex",
    "a phone, as dialled": "q=0{phone}",
    "a first and a last name": "q=mara {last}",
    "the beginning of a last name": "q={beginning}",
    "one letter": "q=m",
    "a first name of a twelfth": "q=mara",
    "a first name among VIPs": "q=ida&stage=vip",
    "a name that nobody has": "q=mara xyzzy",
    "everybody at risk": "stage=at_risk",
    "everybody, newest first": "sort=newest",
    "a rare filter, by score": "tier=canopy&band=cold&sort=score",
}


def multiply(database: sqlalchemy.Engine, customers: int) -> None:
    """Add customers to the tenant's marts, drawn from those that are there."""
    with database.begin() as connection:
        connection.execute(text(PEOPLE), {"tenant": TENANT, "customers": customers})
        for mart in LISTED:
            values = values_of(connection, f"marts.{mart}")
            connection.execute(
                text(
                    COPIES.format(
                        table=f"marts.{mart}",
                        columns=", ".join(values),
                        values=", ".join(values.values()),
                    )
                ),
                {"tenant": TENANT},
            )
        connection.execute(text(WORDS), {"tenant": TENANT})
        connection.execute(text(MESSAGES), {"tenant": TENANT, "share": MESSAGES_EACH})
    with database.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("vacuum analyze")


def values_of(connection: sqlalchemy.Connection, table: str) -> dict[str, str]:
    """What a copied row holds, by column: no identifier stands in two rows."""
    columns = connection.execute(text(COLUMNS), {"name": table}).all()
    copied = {
        name: f"originals.{name}" + (" || '-' || copies.copy" if is_identifier else "")
        for name, is_identifier in columns
    }
    changed = SHARED | CHANGED
    return {name: changed.get(name, value) for name, value in copied.items()}


async def visit(app: object, login: str, addresses: dict[str, str]) -> dict[str, list[float]]:
    """Milliseconds per address: from the request to the whole answer."""
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    taken: dict[str, list[float]] = {name: [] for name in addresses}
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8600") as client:
        await client.get(login)
        for _ in range(VISITS):
            for name, address in addresses.items():
                start = time.perf_counter()
                response = await client.get(address)
                taken[name].append(1_000 * (time.perf_counter() - start))
                assert response.status_code == 200, (address, response.status_code)
                assert "took too long" not in response.text, address
    return taken


def measure(settings: Settings) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Milliseconds of each visit, by page and by search."""
    database = engine(settings)
    with database.connect() as connection:
        person = connection.execute(
            text(
                "select lower(last_name) as last, phone from marts.customers "
                "where email like '%.4711@example.com'"
            )
        ).one()
        known = connection.execute(
            text("select customer_id from marts.customers where email = :email"),
            {"email": "mara.lindqvist@example.com"},
        ).scalar_one()
    database.dispose()
    root = f"/t/{TENANT}"
    pages = {
        page.title: f"{root}/{name}"
        for name, page in load_pages().items()
        if page.order is not None
    }
    pages |= {"Customers": f"{root}/customers", "One customer": f"{root}/customers/{known}"}
    words = {
        "last": person.last,
        "beginning": person.last[:4],
        "phone": person.phone.removeprefix("+49"),
    }
    searches = {
        name: f"{root}/customers?{query.format(**words)}" for name, query in SEARCHES.items()
    }
    dashboard = Dashboard(settings)
    login = f"/login?token={token_for(settings)}"
    taken = asyncio.run(visit(make_app(dashboard), login, pages | searches))
    dashboard.forget_database()
    return {name: taken[name] for name in pages}, {name: taken[name] for name in searches}


def table(title: str, taken: dict[str, list[float]]) -> str:
    """The median, the slowest but one of twenty, and the first visit, in milliseconds."""
    lines = [f"| {title} | median | 95 % | first |", "|---|---:|---:|---:|"]
    for name, values in taken.items():
        late = statistics.quantiles(values, n=20)[-1]
        lines.append(
            f"| {name} | {statistics.median(values):.0f} ms | {late:.0f} ms | {values[0]:.0f} ms |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print and write the result."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--customers", type=int, default=1_000_000)
    customers = arguments.parse_args().customers
    home = Path(tempfile.mkdtemp(prefix="journey-bench-"))
    home.chmod(0o711)
    settings = Settings(home=home / "home", database_url=None)
    server = EmbeddedServer(settings)
    try:
        server.start()
        generate(Path(settings.landing), customers=SAMPLE, seed=7)
        report = build(settings, AS_OF)
        assert report.succeeded, report.errors
        database = engine(settings)
        multiply(database, customers)
        database.dispose()
        pages, searches = measure(settings)
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)
    result = f"""# The dashboard

`bench/dashboard/run.py`: {customers:,} customers of one tenant with {4 * customers:,} search
words and {round(MESSAGES_EACH * customers):,} messages, and as many times more of what pages list
of people (accounts, recipients, clients and what is advised for them). {VISITS} visits of each
address one after the other. The time is that of the whole answer, through the application and as
the dashboard's own role; a browser adds its own.

{table("page", pages)}

{table("search or filter", searches)}
"""
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(result, encoding="utf-8")
    print(result)


if __name__ == "__main__":
    main()
