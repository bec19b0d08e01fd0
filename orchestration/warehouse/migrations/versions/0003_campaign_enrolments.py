"""Who was enrolled in a win-back campaign, and when messages were sent."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    create table outbox.campaign_enrolments (
        tenant_id text not null,
        campaign_id text not null,
        customer_id text not null,
        message_id text not null,
        enrolled_at timestamptz not null,
        is_held_out boolean not null,
        build_id uuid not null,
        created_at timestamptz not null,
        primary key (tenant_id, message_id)
    )
    """,
    """
    comment on table outbox.campaign_enrolments is
    'One row per win-back campaign and customer who was enrolled in it; written once.'
    """,
    """
    comment on column outbox.campaign_enrolments.message_id is
    'Made from the customer_id of the enrolment; stays when the customer is forgotten.'
    """,
    "alter table outbox.deliveries add column if not exists sent_at timestamptz",
    """
    comment on column outbox.deliveries.sent_at is
    'When the destination accepted the message; null until it did.'
    """,
)


def upgrade() -> None:
    """Create the table, and the time of sending."""
    for statement in STATEMENTS:
        op.execute(statement)
