"""The schemas, and the tables that survive every rebuild: loads, rejects, builds, deliveries."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMAS = (
    "raw",
    "seeds",
    "staging",
    "intermediate",
    "marts",
    "sync",
    "outbox",
    "ops",
    "access",
)

STATEMENTS = (
    """
    create table ops.loads (
        load_id bigint generated always as identity primary key,
        tenant_id text not null,
        source text not null,
        file text not null,
        sha256 text not null,
        bytes bigint not null,
        format text,
        status text not null check (status in ('loaded', 'refused')),
        error text,
        ignored_columns text[] not null default '{}',
        rows_read bigint not null default 0,
        rows_loaded bigint not null default 0,
        rows_unchanged bigint not null default 0,
        rows_rejected bigint not null default 0,
        started_at timestamptz not null,
        finished_at timestamptz not null,
        constraint loads_account_for_every_row
            check (rows_read = rows_loaded + rows_unchanged + rows_rejected)
    )
    """,
    """
    create unique index loads_loaded_once
    on ops.loads (tenant_id, source, sha256) where status = 'loaded'
    """,
    """
    create unique index loads_refused_once
    on ops.loads (tenant_id, source, sha256) where status = 'refused'
    """,
    "comment on table ops.loads is 'One row per file that was loaded or refused.'",
    "comment on column ops.loads.file is 'Path below the landing zone.'",
    """
    create table ops.builds (
        build_id uuid primary key,
        as_of timestamptz not null,
        started_at timestamptz not null,
        finished_at timestamptz,
        verdict text not null
            check (verdict in ('running', 'succeeded', 'failed', 'interrupted')),
        error text,
        details jsonb not null default '{}'
    )
    """,
    "create index builds_by_start on ops.builds (started_at)",
    "comment on table ops.builds is 'One row per build of the warehouse.'",
    """
    create table raw.rejected_rows (
        load_id bigint not null,
        tenant_id text not null,
        source text not null,
        file text not null,
        line bigint not null,
        content text not null,
        reasons text[] not null,
        rejected_at timestamptz not null,
        primary key (load_id, line)
    )
    """,
    "comment on table raw.rejected_rows is 'One row per row of a file that breaks its contract.'",
    """
    create table raw.phone_numbers (
        tenant_id text not null,
        phone text not null,
        region text not null,
        e164 text,
        primary key (tenant_id, phone)
    )
    """,
    """
    comment on table raw.phone_numbers is
    'One row per tenant and phone as written; e164 is null when it is not a possible number.'
    """,
    """
    create table outbox.deliveries (
        message_id text primary key,
        tenant_id text not null,
        customer_id text,
        destination text not null,
        operation text not null,
        purpose text not null,
        payload jsonb not null,
        not_before timestamptz,
        expires_at timestamptz,
        state text not null check (
            state in ('dry_run', 'intended', 'accepted', 'rejected', 'unknown', 'skipped')
        ),
        reason text,
        build_id uuid,
        created_at timestamptz not null,
        updated_at timestamptz not null
    )
    """,
    """
    create index deliveries_by_tenant_and_state
    on outbox.deliveries (tenant_id, state, destination)
    """,
    "comment on table outbox.deliveries is 'One row per message decided for a destination.'",
)


def upgrade() -> None:
    """Create everything; schemas that stand already (made by hand, or by dbt) are kept."""
    for schema in SCHEMAS:
        op.execute(f"create schema if not exists {schema}")
    for statement in STATEMENTS:
        op.execute(statement)
