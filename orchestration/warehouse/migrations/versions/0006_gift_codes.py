"""The codes of gifts, each drawn once."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    create table outbox.gift_codes (
        tenant_id text not null,
        gift_id text not null,
        code text not null check (code like 'GIFT-____-____'),
        created_at timestamptz not null,
        primary key (tenant_id, gift_id),
        constraint gift_codes_are_unique unique (tenant_id, code)
    )
    """,
    "comment on table outbox.gift_codes is 'One row per gift that got a code; written once.'",
)


def upgrade() -> None:
    """Create the table."""
    for statement in STATEMENTS:
        op.execute(statement)
