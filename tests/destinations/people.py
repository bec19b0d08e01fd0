"""People and messages to send, put into a built warehouse as a build would have made them."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import sqlalchemy
from sqlalchemy import text

TENANT, CAMPAIGN = "aurora", "aurora-miss-you"
LOYALTY, WINBACK = "sync.sync_klaviyo__loyalty_events", "sync.sync_klaviyo__winback_events"
NEVER = "9999-01-01T00:00:00+00:00"

CHANGED = (
    "marts.customers",
    "marts.customer_identities",
    "marts.customer_marketing_export",
    "marts.customer_redirects",
    "marts.winback_campaigns",
    "marts.winback_eligibility",
    "intermediate.int_tenants__settings",
    "intermediate.int_winback__candidates",
    "sync.sync_klaviyo__loyalty_events",
    "sync.sync_klaviyo__winback_events",
    "sync.sync_klaviyo__next_best_actions",
    "sync.sync_webhook__next_best_actions",
    "sync.sync_klaviyo__segment_memberships",
    "sync.sync_klaviyo__gift_deliveries",
    "sync.sync_shopify__discount_codes",
    "raw.consent_changes",
    "raw.touchpoints",
    "raw.klaviyo_profiles",
    "raw.erasure_requests",
    "raw.shop_orders",
    "raw.eventbrite_orders",
    "raw.phone_numbers",
    "outbox.deliveries",
    "outbox.profile_deletions",
    "outbox.campaign_enrolments",
    "outbox.switches",
    "ops.builds",
)
"""The tables that tests change."""

_CLONE = """
    insert into {table}
    select clone.*
    from {table} as original
    cross join unnest(cast(:changes as jsonb[])) as change
    cross join lateral jsonb_populate_record(original, change) as clone
    where original.ctid = (select min(ctid) from {table} where tenant_id = :tenant_id)
"""


def keep(connection: sqlalchemy.Connection) -> None:
    """Remember what the tables hold."""
    connection.exec_driver_sql("create schema kept")
    for table in CHANGED:
        connection.exec_driver_sql(f'create table kept."{table}" as table {table}')
        # no loss, but what a build would have made
        connection.exec_driver_sql(f"alter table {table} disable trigger user")


def restore(connection: sqlalchemy.Connection) -> None:
    """Bring the tables back to what they held."""
    connection.exec_driver_sql("delete from ops.loads where source = 'test'")
    for table in CHANGED:
        columns = ", ".join(
            f'"{column}"'
            for (column,) in connection.execute(
                text(
                    "select attname from pg_attribute where attrelid = cast(:name as regclass) "
                    "and attnum > 0 and not attisdropped and attgenerated = ''"
                ),
                {"name": table},
            )
        )
        connection.exec_driver_sql(f"truncate {table}")
        connection.exec_driver_sql(
            f'insert into {table} ({columns}) select {columns} from kept."{table}"'
        )


def clone(connection: sqlalchemy.Connection, table: str, *changes: dict[str, Any]) -> None:
    """Copy the tenant's first row of a table once for each set of changes."""
    statement = text(_CLONE.format(table=table))
    documents = [json.dumps(change) for change in changes]
    connection.execute(statement, {"tenant_id": TENANT, "changes": documents})


def email_of(name: str) -> str:
    return f"{name}@example.com"


def forget_everybody(connection: sqlalchemy.Connection) -> None:
    """Leave no message but those that the test makes."""
    for table in (
        "sync.sync_webhook__next_best_actions",
        "sync.sync_klaviyo__next_best_actions",
        "sync.sync_klaviyo__segment_memberships",
        "sync.sync_klaviyo__gift_deliveries",
        "sync.sync_shopify__discount_codes",
        "outbox.deliveries",
    ):
        connection.exec_driver_sql(f"delete from {table}")
    for table in (LOYALTY, WINBACK):
        connection.exec_driver_sql(
            f"delete from {table} where message_id <> "
            f"(select min(message_id) from {table} where tenant_id = '{TENANT}')"
        )
        # the row to copy is never due
        connection.exec_driver_sql(f"update {table} set not_before = '{NEVER}'")
    # so that nobody but those of the test is enrolled
    connection.exec_driver_sql(
        "delete from intermediate.int_winback__candidates where customer_id <> (select "
        f"min(customer_id) from intermediate.int_winback__candidates where tenant_id = '{TENANT}')"
    )


def add_people(connection: sqlalchemy.Connection, *names: str) -> None:
    """Customers who want e-mail."""
    clone(
        connection,
        "marts.customers",
        *(
            {
                "customer_id": name,
                "email": email_of(name),
                "email_subscribed": True,
                "is_email_suppressed": False,
            }
            for name in names
        ),
    )
    clone(
        connection,
        "marts.customer_identities",
        *(
            {"customer_id": name, "identifier_type": "email", "identifier": email_of(name)}
            for name in names
        ),
    )


def event(message_id: str, name: str, at: datetime, **properties: object) -> dict[str, Any]:
    """The body of an event, as `klaviyo_event` makes it."""
    return {
        "data": {
            "type": "event",
            "attributes": {
                "metric": {"data": {"type": "metric", "attributes": {"name": "Test"}}},
                "profile": {"data": {"type": "profile", "attributes": {"email": email_of(name)}}},
                "properties": properties,
                "time": at.isoformat(),
                "unique_id": message_id,
            },
        }
    }


def add_candidates(connection: sqlalchemy.Connection, *names: str) -> None:
    """People whom the next delivery enrols in the campaign."""
    clone(
        connection,
        "intermediate.int_winback__candidates",
        *(
            {
                "campaign_id": CAMPAIGN,
                "customer_id": name,
                "message_id": f"winback-{name}",
                "is_held_out": False,
            }
            for name in names
        ),
    )


def add_invitations(connection: sqlalchemy.Connection, at: datetime, *names: str) -> None:
    """A win-back message for each."""
    clone(
        connection,
        WINBACK,
        *(
            {
                "message_id": f"winback-{name}",
                "customer_id": name,
                "not_before": at.isoformat(),
                "expires_at": None,
                "payload": event(f"winback-{name}", name, at, campaign_id=CAMPAIGN),
            }
            for name in names
        ),
    )


def add_moves(
    connection: sqlalchemy.Connection,
    operation: str,
    at: datetime,
    *names: str,
    list_id: str = "L",
    spell: int = 1,
) -> None:
    """Onto a list, or off it; the message id is `operation-name-spell`, on another list than `L`
    with its name behind it."""
    behind = "" if list_id == "L" else f"-{list_id}"
    moves = [
        {
            "tenant_id": TENANT,
            "destination": "klaviyo",
            "message_id": f"{operation}-{name}-{spell}{behind}",
            "customer_id": name,
            "purpose": "segment_membership",
            "operation": operation,
            "not_before": at.isoformat(),
            "expires_at": None,
            "payload": {"list_id": list_id, "profile": {"email": email_of(name)}},
        }
        for name in names
    ]
    connection.execute(
        text(
            "insert into sync.sync_klaviyo__segment_memberships select moved.* from "
            "jsonb_populate_recordset(null::sync.sync_klaviyo__segment_memberships, "
            "cast(:moves as jsonb)) as moved"
        ).bindparams(moves=json.dumps(moves)),
    )


def add_news(
    connection: sqlalchemy.Connection,
    purpose: str,
    at: datetime,
    *names: str,
    prefix: str = "",
    **properties: object,
) -> None:
    """A message of the purpose for each; its id is `purpose-name`, behind the prefix."""
    clone(
        connection,
        LOYALTY,
        *(
            {
                "message_id": (message_id := f"{prefix}{purpose}-{name}"),
                "customer_id": name,
                "purpose": purpose,
                "not_before": at.isoformat(),
                "expires_at": None,
                "payload": event(message_id, name, at, **{"subject": message_id, **properties}),
            }
            for name in names
        ),
    )
