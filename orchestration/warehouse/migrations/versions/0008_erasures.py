"""Who asked to be forgotten: receipts, and what knows their old records again."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    create table ops.erasures (
        erasure_id uuid primary key,
        tenant_id text not null,
        request_id text not null,
        requested_at timestamptz not null,
        decided_at timestamptz not null,
        outcome text not null check (outcome in ('erased', 'refused')),
        reason text,
        pseudonym text,
        details jsonb not null default '{}',
        constraint erasures_of_a_request unique (tenant_id, request_id),
        constraint only_refusals_have_a_reason
            check ((outcome = 'refused') = (reason is not null)),
        constraint the_erased_have_a_pseudonym
            check ((outcome = 'erased') = (pseudonym is not null))
    )
    """,
    """
    comment on table ops.erasures is
    'One row per request to be forgotten: the receipt. It holds nothing that names the person.'
    """,
    """
    create table ops.erased_identifiers (
        tenant_id text not null,
        identifier_hash text not null,
        erasure_id uuid not null references ops.erasures (erasure_id) on delete cascade,
        before timestamptz not null,
        primary key (tenant_id, identifier_hash, erasure_id)
    )
    """,
    """
    comment on table ops.erased_identifiers is
    'One row per identifier of somebody forgotten, as a keyed hash, to know old records again.'
    """,
    """
    create table ops.erasure_key (
        is_only boolean primary key default true check (is_only),
        key text not null
    )
    """,
    """
    insert into ops.erasure_key (key)
    select replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '')
    """,
    "comment on table ops.erasure_key is 'One row: the key of the hashes in erased_identifiers.'",
    """
    create table ops.shared_identifiers (
        tenant_id text not null,
        identifier_key text not null,
        cap bigint not null,
        strong_count bigint not null,
        primary key (tenant_id, identifier_key)
    )
    """,
    """
    comment on table ops.shared_identifiers is
    'One row per identifier over its cap that somebody forgotten was seen with: it stays over it.'
    """,
    """
    create table outbox.profile_deletions (
        message_id text primary key,
        tenant_id text not null,
        destination text not null,
        payload jsonb not null,
        requested_at timestamptz not null
    )
    """,
    """
    comment on table outbox.profile_deletions is
    'One row per destination that must forget somebody too; gone once the destination has accepted.'
    """,
)


def upgrade() -> None:
    """Create the tables, and a key of this warehouse's own."""
    for statement in STATEMENTS:
        op.execute(statement)
