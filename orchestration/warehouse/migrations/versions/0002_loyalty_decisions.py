"""What is decided once about rewards."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    create table outbox.redemption_decisions (
        tenant_id text not null,
        request_id text not null,
        customer_id text,
        reward_id text not null,
        decision text not null check (decision in ('accepted', 'refused')),
        reason text,
        movement_type text check (movement_type in ('redeem_discount', 'redeem_product')),
        points bigint check (points > 0),
        code text,
        decided_at timestamptz not null,
        expires_at timestamptz,
        build_id uuid not null,
        created_at timestamptz not null,
        primary key (tenant_id, request_id),
        constraint redemption_codes_are_unique unique (tenant_id, code),
        constraint only_refusals_have_a_reason
            check ((decision = 'refused') = (reason is not null)),
        constraint what_is_accepted_is_complete check (
            decision = 'refused'
            or (
                customer_id is not null
                and movement_type is not null
                and points is not null
                and code is not null
                and expires_at > decided_at
            )
        )
    )
    """,
    """
    create index redemption_decisions_by_reward
    on outbox.redemption_decisions (tenant_id, reward_id) where decision = 'accepted'
    """,
    """
    comment on table outbox.redemption_decisions is
    'One row per request for a reward that was decided; written once.'
    """,
)


def upgrade() -> None:
    """Create the table."""
    for statement in STATEMENTS:
        op.execute(statement)
