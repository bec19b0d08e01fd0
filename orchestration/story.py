"""What the marts tell about one person, and about the whole warehouse, for people at a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Engine, column, func, inspect, select, table, text

from orchestration.ingest.phones import e164
from orchestration.ingest.tenants import read_tenants
from orchestration.settings import SEEDS_DIR
from orchestration.warehouse.errors import JourneyError

# Prospects stand with the leads, VIPs with the repeat customers.
FUNNEL = (
    ("visitors", ("visitor",)),
    ("leads", ("lead", "prospect")),
    ("customers", ("customer",)),
    ("repeat", ("repeat", "vip")),
    ("at risk", ("at_risk",)),
    ("churned", ("churned",)),
)

Row = dict[str, Any]


class UnknownPerson(JourneyError):
    """Nobody, or more than one person, is known by the identifier given."""


class NothingBuilt(JourneyError):
    """The marts are not there yet."""


@dataclass(frozen=True)
class Story:
    """One customer: a row of `customers`, and the rows of other marts about the person."""

    customer: Row
    identities: list[Row]
    activities: list[Row]
    stages: list[Row]
    segments: list[Row]
    loyalty: Row | None
    messages: list[Row]

    def to_dict(self) -> dict[str, Any]:
        """The story as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Overview:
    """The funnel per tenant and the number of rows per mart, of the latest build."""

    build: Row
    funnel: list[Row]
    row_counts: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """The overview as plain values."""
        return asdict(self)


def tell_story(database: Engine, identifier: str, tenant: str | None = None) -> Story:
    """The story of the person who is known by an e-mail, phone or any other id, or a customer_id.

    Raises:
        NothingBuilt: there are no marts yet.
        UnknownPerson: nobody has the identifier, or people of several tenants do.
    """
    tenants = read_tenants(SEEDS_DIR / "tenants.csv")
    if tenant is not None and tenant not in tenants:
        raise UnknownPerson(f"There is no tenant {tenant}; there are {', '.join(sorted(tenants))}")
    regions = [one.phone_region for name, one in tenants.items() if tenant in (None, name)]
    with database.connect() as connection:
        _require_marts(connection)
        found = _rows(
            connection,
            """
            select distinct tenant_id, customer_id
            from marts.customer_identities
            where
                (identifier = any(:spellings) or customer_id = any(:spellings))
                and tenant_id = coalesce(:tenant, tenant_id)
            order by tenant_id, customer_id
            """,
            spellings=_spellings(identifier, regions),
            tenant=tenant,
        )
        if not found:
            raise UnknownPerson(
                f"Nobody is known by {identifier}"
                + (f" in tenant {tenant}" if tenant else "")
                + ". Give an e-mail, a phone, an id of any source, or a customer_id."
            )
        if len(found) > 1:
            places = ", ".join(f"{one['tenant_id']}: {one['customer_id']}" for one in found)
            raise UnknownPerson(
                f"{len(found)} people are known by {identifier} ({places}). Name the tenant, or "
                "give the customer_id."
            )
        person = found[0]

        def about(schema: str, relation: str, *order: str) -> list[Row]:
            return _rows_about(connection, schema, relation, person, order)

        loyalty = about("marts", "loyalty_accounts")
        return Story(
            customer=about("marts", "customers")[0],
            identities=about(
                "marts", "customer_identities", "first_seen_at", "identifier_type", "identifier"
            ),
            activities=about("marts", "customer_activity_timeline", "occurred_at", "activity_id"),
            stages=about("marts", "stage_transitions", "transitioned_at"),
            segments=about("marts", "segment_memberships", "added_at", "segment_id"),
            loyalty=loyalty[0] if loyalty else None,
            messages=about("outbox", "deliveries", "purpose", "message_id"),
        )


def describe_warehouse(database: Engine) -> Overview:
    """Funnel and row counts of the latest build.

    Raises:
        NothingBuilt: there are no marts yet.
    """
    with database.connect() as connection:
        _require_marts(connection)
        builds = _rows(
            connection,
            "select * from ops.builds order by started_at desc, build_id limit 1",
        )
        stages = _rows(
            connection,
            """
            select
                tenant_id,
                currency,
                stage,
                count(*) as customers,
                sum(lifetime_value) as lifetime_value
            from marts.customers
            group by tenant_id, currency, stage
            order by tenant_id, stage
            """,
        )
        marts = sorted(inspect(connection).get_table_names(schema="marts"))
        counts = {
            mart: connection.execute(
                select(func.count()).select_from(table(mart, schema="marts"))
            ).scalar_one()
            for mart in marts
        }
    funnel = []
    for tenant in sorted({row["tenant_id"] for row in stages}):
        of_tenant = [row for row in stages if row["tenant_id"] == tenant]
        funnel.append(
            {"tenant": tenant}
            | {
                step: sum(row["customers"] for row in of_tenant if row["stage"] in members)
                for step, members in FUNNEL
            }
            | {
                "lifetime value": sum(row["lifetime_value"] for row in of_tenant),
                "currency": of_tenant[0]["currency"],
            }
        )
    return Overview(build=builds[0] if builds else {}, funnel=funnel, row_counts=counts)


def _spellings(identifier: str, regions: Iterable[str]) -> list[str]:
    """The text as given, and as an e-mail or phone would be normalised."""
    text = identifier.strip()
    phones = {e164(text, region) for region in regions}
    return [text, text.lower(), *(phone for phone in phones if phone)]


def _require_marts(connection: Connection) -> None:
    if connection.execute(text("select to_regclass('marts.customers')")).scalar_one() is None:
        raise NothingBuilt("There are no marts yet. Make them with: journey build")


def _rows_about(
    connection: Connection, schema: str, relation: str, person: Row, order: tuple[str, ...]
) -> list[Row]:
    query = (
        select(text("*"))
        .select_from(table(relation, schema=schema))
        .where(column("tenant_id") == person["tenant_id"])
        .where(column("customer_id") == person["customer_id"])
        .order_by(*map(column, order))
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def _rows(connection: Connection, query: str, **parameters: Any) -> list[Row]:
    return [dict(row) for row in connection.execute(text(query), parameters).mappings()]
