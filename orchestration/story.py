"""What the marts tell about one person, and about the whole warehouse, for people at a terminal."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Engine, column, func, inspect, select, table, text

from orchestration.people import (
    Found,
    Row,
    find_people,
    known_tenants,
    read_rows,
    require_marts,
    require_one,
)

# Prospects stand with the leads, VIPs with the repeat customers.
FUNNEL = (
    ("visitors", ("visitor",)),
    ("leads", ("lead", "prospect")),
    ("customers", ("customer",)),
    ("repeat", ("repeat", "vip")),
    ("at risk", ("at_risk",)),
    ("churned", ("churned",)),
)


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

    An old customer_id tells the story of who has taken it over.

    Raises:
        NothingBuilt: there are no marts yet.
        UnknownPerson: nobody has the identifier, or people of several tenants do.
    """
    tenants = known_tenants(tenant)
    with database.connect() as connection:
        require_marts(connection)
        person = require_one(find_people(connection, identifier, tenants), identifier, tenant)

        def about(relation: str, *order: str) -> list[Row]:
            return _rows_about(connection, relation, person, order)

        loyalty = about("loyalty_accounts")
        return Story(
            customer=about("customers")[0],
            identities=about(
                "customer_identities", "first_seen_at", "identifier_type", "identifier"
            ),
            activities=about("customer_activity_timeline", "occurred_at", "activity_id"),
            stages=about("stage_transitions", "transitioned_at"),
            segments=about("segment_memberships", "added_at", "segment_id"),
            loyalty=loyalty[0] if loyalty else None,
            messages=_messages_to(connection, person),
        )


def describe_warehouse(database: Engine) -> Overview:
    """Funnel and row counts of the latest build.

    Raises:
        NothingBuilt: there are no marts yet.
    """
    with database.connect() as connection:
        require_marts(connection)
        builds = read_rows(
            connection,
            "select * from ops.builds order by started_at desc, build_id limit 1",
        )
        stages = read_rows(
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


def _rows_about(
    connection: Connection, mart: str, person: Found, order: tuple[str, ...]
) -> list[Row]:
    query = (
        select(text("*"))
        .select_from(table(mart, schema="marts"))
        .where(column("tenant_id") == person.tenant_id)
        .where(column("customer_id") == person.customer_id)
        .order_by(*map(column, order))
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def _messages_to(connection: Connection, person: Found) -> list[Row]:
    """What was decided for the person; the outbox keeps the id that they had then."""
    return read_rows(
        connection,
        """
        select *
        from outbox.deliveries
        where
            tenant_id = :tenant_id
            and (
                customer_id = :customer_id
                or customer_id in (
                    select old_customer_id
                    from marts.customer_redirects
                    where tenant_id = :tenant_id and customer_id = :customer_id
                )
            )
        order by purpose, message_id
        """,
        tenant_id=person.tenant_id,
        customer_id=person.customer_id,
    )
