"""What sending needs to remember: attempts, the instant of acceptance, and what is stopped."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

STATEMENTS = (
    # another table may need the instant first
    "alter table outbox.deliveries add column if not exists sent_at timestamptz",
    """
    alter table outbox.deliveries
    add column output text,
    add column is_backfill boolean not null default false,
    add column attempts integer not null default 0,
    drop constraint deliveries_state_check,
    add constraint deliveries_state_check check (
        state in (
            'dry_run', 'waiting', 'intended', 'accepted', 'rejected', 'unknown', 'skipped'
        )
    ),
    add constraint only_what_was_accepted_was_sent
        check (sent_at is null or state = 'accepted'),
    add constraint what_was_not_sent_has_a_reason
        check (state not in ('waiting', 'rejected', 'unknown', 'skipped') or reason is not null)
    """,
    """
    create index deliveries_by_customer
    on outbox.deliveries (tenant_id, customer_id)
    """,
    "comment on column outbox.deliveries.output is 'The output that decided the message.'",
    """
    comment on column outbox.deliveries.is_backfill is
    'True when it was recorded at the destination without starting anything there.'
    """,
    "comment on column outbox.deliveries.attempts is 'Requests that may have carried it.'",
    "comment on column outbox.deliveries.sent_at is 'When the destination accepted it.'",
    """
    create table outbox.switches (
        tenant_id text not null,
        destination text not null,
        reason text not null,
        stopped_at timestamptz not null,
        primary key (tenant_id, destination)
    )
    """,
    """
    comment on table outbox.switches is
    'One row per tenant and destination to which nothing is sent; * stands for all of them.'
    """,
)


def upgrade() -> None:
    """Widen the outbox."""
    for statement in STATEMENTS:
        op.execute(statement)
