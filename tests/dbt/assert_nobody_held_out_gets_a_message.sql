-- A returned row is a win-back message to somebody who was held out of the campaign, on its way or
-- there, or one that the sync model would send.
with enrolments as (
    select * from {{ ref('stg_winback__enrolments') }}
    where is_held_out
),

deliveries as (
    select * from {{ source('outbox', 'deliveries') }}
    where state in ('intended', 'accepted', 'unknown')
),

winback_events as (
    select * from {{ ref('sync_klaviyo__winback_events') }}
),

messages as (
    select
        tenant_id,
        message_id
    from deliveries

    union all

    select
        tenant_id,
        message_id
    from winback_events
)

select
    enrolments.tenant_id,
    enrolments.campaign_id,
    enrolments.customer_id,
    enrolments.message_id
from enrolments
inner join messages
    on
        enrolments.tenant_id = messages.tenant_id
        and enrolments.message_id = messages.message_id
