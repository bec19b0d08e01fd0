"""What the login that sends may read and write: what a live delivery needs, and nothing else."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

STATEMENTS = (
    "revoke all on all tables in schema seeds, outbox from journey_sender",
    "revoke all on schema seeds from journey_sender",
    """
    alter default privileges in schema seeds, outbox
    revoke select, insert, update on tables from journey_sender
    """,
    "grant select, insert, update on outbox.deliveries to journey_sender",
    "grant select, insert on outbox.campaign_enrolments to journey_sender",
    "grant select, delete on outbox.profile_deletions to journey_sender",
    "grant select on outbox.switches to journey_sender",
    "grant usage on schema raw, intermediate to journey_sender",
    """
    create function access.admit_sender() returns void
    language plpgsql set search_path = pg_catalog, pg_temp
    as $$
    declare
        closed regclass;
    begin
        for closed in
            select to_regclass(needed.relation)
            from (
                values
                ('raw.consent_changes'),
                ('raw.erasure_requests'),
                ('raw.eventbrite_orders'),
                ('raw.humanitix_orders'),
                ('raw.klaviyo_profiles'),
                ('raw.phone_numbers'),
                ('raw.shop_orders'),
                ('raw.shopify_orders'),
                ('raw.touchpoints'),
                ('intermediate.int_tenants__settings'),
                ('intermediate.int_winback__candidates')
            ) as needed (relation)
            where not has_table_privilege('journey_sender', to_regclass(needed.relation), 'select')
        loop
            execute format('grant select on %s to journey_sender', closed);
        end loop;
    end
    $$
    """,
    """
    comment on function access.admit_sender() is
    'Lets the sender read what it looks at before a message leaves, beside sync and marts; tables '
    'that are not there yet are left to the next call.'
    """,
    "select access.admit_sender()",
)


def upgrade() -> None:
    """Take away what the sender had too much, and give what it lacked."""
    for statement in STATEMENTS:
        op.execute(statement)
