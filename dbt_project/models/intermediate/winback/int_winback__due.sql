{{ config(unique_key=['tenant_id', 'campaign_id', 'customer_id']) }}

-- When a message is due, or would be for those held out: some days after the stage in which the
-- customer was enrolled began, and not before the campaign or the enrolment.
with enrolments as (
    select * from {{ ref('int_winback__enrolments') }}
    where
        preference = 1
        and {{ is_touched('int_winback__enrolments') }}
),

campaigns as (
    select * from {{ ref('winback_campaign_definitions') }}
),

transitions as (
    select * from {{ ref('int_lifecycle__transitions') }}
),

counted_orders as (
    select * from {{ ref('int_orders__valued') }}
    where is_counted
),

stages_at_enrolment as (
    select
        enrolments.tenant_id,
        enrolments.message_id,
        max(transitions.transitioned_at) as stage_since
    from enrolments
    inner join transitions
        on
            enrolments.tenant_id = transitions.tenant_id
            and enrolments.customer_id = transitions.customer_id
            and enrolments.enrolled_at >= transitions.transitioned_at
    group by enrolments.tenant_id, enrolments.message_id
),

purchases_since as (
    select
        enrolments.tenant_id,
        enrolments.message_id,
        min(counted_orders.ordered_at) as bought_at
    from enrolments
    inner join counted_orders
        on
            enrolments.tenant_id = counted_orders.tenant_id
            and enrolments.customer_id = counted_orders.customer_id
            and enrolments.enrolled_at < counted_orders.ordered_at
    group by enrolments.tenant_id, enrolments.message_id
),

with_due as (
    select
        enrolments.*,
        purchases_since.bought_at,
        campaigns.attribution_days,
        campaigns.discount_code,
        greatest(
            {{ add_days('stages_at_enrolment.stage_since', 'campaigns.send_delay_days') }},
            campaigns.starts_at,
            enrolments.enrolled_at
        ) as due_at
    from enrolments
    -- a campaign that nobody defines any more shows nowhere
    inner join campaigns
        on
            enrolments.tenant_id = campaigns.tenant_id
            and enrolments.campaign_id = campaigns.campaign_id
    left join stages_at_enrolment
        on
            enrolments.tenant_id = stages_at_enrolment.tenant_id
            and enrolments.message_id = stages_at_enrolment.message_id
    left join purchases_since
        on
            enrolments.tenant_id = purchases_since.tenant_id
            and enrolments.message_id = purchases_since.message_id
),

final as (
    select
        tenant_id,
        campaign_id,
        customer_id,
        message_id,
        enrolled_at,
        is_held_out,
        sent_at,
        skip_reason,
        due_at,
        {{ add_days('coalesce(sent_at, due_at)', 'attribution_days') }} as attribution_ends_at,
        bought_at,
        discount_code
    from with_due
)

select * from final
