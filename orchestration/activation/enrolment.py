"""Who takes part in a win-back campaign: decided once, written once, before anything is sent.

The latest whole build says who is next and who is held out (`int_winback__candidates`: those who
have stood in their stage for longest come first, up to `max_recipients_per_run`, which counts the
held-out share as well). An enrolment stands at that build's instant and shows in later builds, so
a run that is repeated after a crash enrols nobody more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy

from orchestration.activation.gate import GateClosed, require_success
from orchestration.warehouse.builds import Build, hold_still


@dataclass(frozen=True)
class Enrolled:
    """How many people a run enrolled in one campaign."""

    tenant_id: str
    campaign_id: str
    recipients: int
    """To whom the message goes."""
    held_out: int
    """Who get nothing, for comparison."""


def enrol(
    connection: sqlalchemy.Connection, build: Build, tenant_id: str | None = None
) -> tuple[Enrolled, ...]:
    """Enrol whom the build names next, in the transaction of the caller.

    Nobody is enrolled in a campaign twice, also not under an id that was merged since. Runs of one
    tenant wait for each other, and no build begins before the transaction ends.

    Args:
        connection: in a transaction that commits before the first message is sent.
        build: what the gate let through.
        tenant_id: only this tenant; everyone by default.

    Returns:
        The campaigns that got anybody, by tenant and campaign.

    Raises:
        BuildRunning: a build is changing the marts.
        GateClosed: a newer build has changed them since the gate.
    """
    hold_still(connection)
    latest = require_success(connection)
    if latest.build_id != build.build_id:
        raise GateClosed(
            f"Build {latest.build_id} has replaced the marts of build {build.build_id}, so nobody "
            "was enrolled. Deliver again."
        )
    connection.exec_driver_sql("set local synchronous_commit = on")
    tenants = connection.scalars(_TENANTS, {"tenant_id": tenant_id}).all()
    return tuple(
        enrolled for tenant in tenants for enrolled in _enrol_tenant(connection, build, tenant)
    )


def _enrol_tenant(
    connection: sqlalchemy.Connection, build: Build, tenant_id: str
) -> list[Enrolled]:
    connection.execute(
        sqlalchemy.text("select pg_advisory_xact_lock(hashtextextended(:name, 0))"),
        {"name": f"enrolments of {tenant_id}"},
    )
    rows = connection.execute(
        _ENROL,
        {
            "tenant_id": tenant_id,
            "enrolled_at": build.as_of,
            "build_id": build.build_id,
            "created_at": datetime.now(UTC),
        },
    )
    return [Enrolled(**row) for row in rows.mappings()]


_TENANTS = sqlalchemy.text(
    """
    select tenant_id
    from intermediate.int_tenants__settings
    where cast(:tenant_id as text) is null or tenant_id = :tenant_id
    order by tenant_id
    """
)
# the build cannot know who was enrolled at its own instant or after it; whoever was forgotten and
# came back has their message already
_ENROL = sqlalchemy.text(
    """
    with added as (
        insert into outbox.campaign_enrolments (
            tenant_id, campaign_id, customer_id, message_id, enrolled_at, is_held_out, build_id,
            created_at
        )
        select
            tenant_id, campaign_id, customer_id, message_id, :enrolled_at, is_held_out, :build_id,
            :created_at
        from intermediate.int_winback__candidates as candidates
        where
            tenant_id = :tenant_id
            and not exists (
                select 1
                from outbox.campaign_enrolments as enrolments
                left join marts.customer_redirects as redirects
                    on
                        enrolments.tenant_id = redirects.tenant_id
                        and enrolments.customer_id = redirects.old_customer_id
                where
                    candidates.tenant_id = enrolments.tenant_id
                    and candidates.campaign_id = enrolments.campaign_id
                    and candidates.customer_id
                    in (enrolments.customer_id, redirects.customer_id)
            )
        on conflict do nothing
        returning tenant_id, campaign_id, is_held_out
    )
    select
        tenant_id,
        campaign_id,
        count(*) filter (where not is_held_out) as recipients,
        count(*) filter (where is_held_out) as held_out
    from added
    group by tenant_id, campaign_id
    order by campaign_id
    """
)
