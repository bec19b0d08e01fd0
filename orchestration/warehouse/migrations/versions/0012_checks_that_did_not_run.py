"""A check that did not run has not failed."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Leave out what a build skipped, as the command line does."""
    op.execute("""
        create or replace function ops.checks_of_builds()
        returns table (build_id uuid, passed bigint, warned bigint, failed bigint)
        language sql stable security definer set search_path = pg_catalog, pg_temp
        as $$
            select
                builds.build_id,
                coalesce(sum(checks.checks::bigint) filter (where checks.outcome = 'pass'), 0),
                coalesce(sum(checks.checks::bigint) filter (where checks.outcome = 'warn'), 0),
                coalesce(
                    sum(checks.checks::bigint)
                    filter (where checks.outcome not in ('pass', 'warn', 'skipped')), 0
                )
            from ops.builds
            cross join lateral jsonb_each_text(
                coalesce(builds.details -> 'transform' -> 'tests', '{}')
            ) as checks (outcome, checks)
            group by builds.build_id;
        $$
    """)
