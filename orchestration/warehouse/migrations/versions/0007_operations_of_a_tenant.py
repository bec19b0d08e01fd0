"""What the dashboard shows of our own tables: functions that answer for its tenant alone."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    create function ops.rejected_rows_of_tenant(most integer)
    returns table (file text, line bigint, content text, reasons text[], rejected_at timestamptz)
    language sql stable security definer set search_path = pg_catalog, pg_temp
    as $$
        select
            rejected.file,
            rejected.line,
            rejected.content,
            rejected.reasons,
            rejected.rejected_at
        from raw.rejected_rows as rejected
        where rejected.tenant_id = access.visible_tenant()
        order by rejected.load_id desc, rejected.line
        limit most;
    $$
    """,
    """
    comment on function ops.rejected_rows_of_tenant(integer) is
    'The rows of the dashboard''s tenant that were rejected last.'
    """,
    """
    create function ops.messages_of_tenant()
    returns table (
        purpose text, destination text, state text, messages bigint, updated_at timestamptz
    )
    language sql stable security definer set search_path = pg_catalog, pg_temp
    as $$
        select
            deliveries.purpose,
            deliveries.destination,
            deliveries.state,
            count(*),
            max(deliveries.updated_at)
        from outbox.deliveries
        where deliveries.tenant_id = access.visible_tenant()
        group by deliveries.purpose, deliveries.destination, deliveries.state;
    $$
    """,
    """
    comment on function ops.messages_of_tenant() is
    'How many messages of the dashboard''s tenant are in which state.'
    """,
    """
    create function ops.checks_of_builds()
    returns table (build_id uuid, passed bigint, warned bigint, failed bigint)
    language sql stable security definer set search_path = pg_catalog, pg_temp
    as $$
        select
            builds.build_id,
            coalesce(sum(checks.checks::bigint) filter (where checks.outcome = 'pass'), 0),
            coalesce(sum(checks.checks::bigint) filter (where checks.outcome = 'warn'), 0),
            coalesce(
                sum(checks.checks::bigint) filter (where checks.outcome not in ('pass', 'warn')), 0
            )
        from ops.builds
        cross join lateral jsonb_each_text(
            coalesce(builds.details -> 'transform' -> 'tests', '{}')
        ) as checks (outcome, checks)
        group by builds.build_id;
    $$
    """,
    """
    comment on function ops.checks_of_builds() is
    'How many checks of a build passed; no names, for those may be of another tenant.'
    """,
    """
    grant execute on function
        ops.rejected_rows_of_tenant(integer), ops.messages_of_tenant(), ops.checks_of_builds()
    to journey_dashboard
    """,
)


def upgrade() -> None:
    """Make the functions; default privileges let nobody else call them."""
    for statement in STATEMENTS:
        op.execute(statement)
