"""Who takes part in a win-back campaign: written down once, before anything is sent."""

from __future__ import annotations

import sqlalchemy
from sqlalchemy import text

from orchestration.warehouse.builds import Build

_TABLE = text(
    """
    create table if not exists outbox.campaign_enrolments (
        tenant_id text not null,
        campaign_id text not null,
        customer_id text not null,
        enrolled_at timestamptz not null,
        is_held_out boolean not null,
        build_id uuid not null,
        created_at timestamptz not null,
        primary key (tenant_id, campaign_id, customer_id)
    )
    """
)
_ENROL = text(
    """
    with enrolled as (
        select
            enrolments.tenant_id,
            enrolments.campaign_id,
            coalesce(redirects.customer_id, enrolments.customer_id) as customer_id
        from outbox.campaign_enrolments as enrolments
        left join marts.customer_redirects as redirects
            on
                enrolments.tenant_id = redirects.tenant_id
                and enrolments.customer_id = redirects.old_customer_id
    ),

    numbered as (
        select
            eligibility.tenant_id,
            eligibility.campaign_id,
            eligibility.customer_id,
            campaigns.max_recipients_per_run,
            not exists (
                select 1
                from sync.sync_klaviyo__winback_events as messages
                where
                    eligibility.tenant_id = messages.tenant_id
                    and eligibility.customer_id = messages.customer_id
                    and messages.payload #>> '{data,attributes,properties,campaign_id}'
                    = eligibility.campaign_id
            ) as is_held_out,
            row_number() over (
                partition by eligibility.tenant_id, eligibility.campaign_id
                order by eligibility.stage_since, eligibility.customer_id
            ) as place
        from marts.winback_eligibility as eligibility
        inner join marts.winback_campaigns as campaigns
            on
                eligibility.tenant_id = campaigns.tenant_id
                and eligibility.campaign_id = campaigns.campaign_id
        where
            eligibility.is_eligible
            and (cast(:tenant_id as text) is null or eligibility.tenant_id = :tenant_id)
            and not exists (
                select 1
                from enrolled
                where
                    eligibility.tenant_id = enrolled.tenant_id
                    and eligibility.campaign_id = enrolled.campaign_id
                    and eligibility.customer_id = enrolled.customer_id
            )
    )

    insert into outbox.campaign_enrolments (
        tenant_id, campaign_id, customer_id, enrolled_at, is_held_out, build_id, created_at
    )
    select
        tenant_id, campaign_id, customer_id, :enrolled_at, is_held_out, :build_id, :enrolled_at
    from numbered
    where place <= max_recipients_per_run
    """
)


def make_table(connection: sqlalchemy.Connection) -> None:
    """Make the table of enrolments unless it stands."""
    connection.execute(_TABLE)


def enrol(connection: sqlalchemy.Connection, build: Build, tenant_id: str | None = None) -> int:
    """Enrol whom the build found eligible, once per campaign; returns how many.

    At most `max_recipients_per_run` of a campaign, those in the stage for longest first.
    """
    values = {"tenant_id": tenant_id, "enrolled_at": build.as_of, "build_id": build.build_id}
    return connection.execute(_ENROL, values).rowcount
