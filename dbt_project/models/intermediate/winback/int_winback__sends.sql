{{ config(unique_key=['tenant_id', 'campaign_id', 'customer_id']) }}

-- Each message claims the first counted order after it and inside its campaign's window. Of several
-- messages that claim one order, the latest has won the customer back; the others have not.
with enrolments as (
    select * from {{ ref('int_winback__enrolments') }}
    where
        preference = 1
        and sent_at is not null
        and not is_held_out
        and {{ is_touched('int_winback__enrolments') }}
),

campaigns as (
    select * from {{ ref('winback_campaign_definitions') }}
),

counted_orders as (
    select * from {{ ref('int_orders__valued') }}
    where is_counted
),

sends as (
    select
        enrolments.tenant_id,
        enrolments.campaign_id,
        enrolments.customer_id,
        enrolments.message_id,
        enrolments.sent_at,
        {{ add_days('enrolments.sent_at', 'campaigns.attribution_days') }} as attribution_ends_at,
        campaigns.campaign_name,
        campaigns.klaviyo_flow_id
    from enrolments
    -- a campaign that nobody defines any more shows nowhere
    inner join campaigns
        on
            enrolments.tenant_id = campaigns.tenant_id
            and enrolments.campaign_id = campaigns.campaign_id
),

with_orders as (
    select
        sends.*,
        counted_orders.order_id,
        counted_orders.ordered_at,
        row_number() over (
            partition by sends.tenant_id, sends.message_id
            order by counted_orders.ordered_at, counted_orders.order_id
        ) as order_number
    from sends
    left join counted_orders
        on
            sends.tenant_id = counted_orders.tenant_id
            and sends.customer_id = counted_orders.customer_id
            and sends.sent_at < counted_orders.ordered_at
            and sends.attribution_ends_at > counted_orders.ordered_at
),

claims as (
    select
        with_orders.*,
        row_number() over (
            partition by order_id, tenant_id order by sent_at desc, campaign_id
        ) as claim_number
    from with_orders
    where order_number = 1
),

final as (
    select
        tenant_id,
        campaign_id,
        customer_id,
        message_id,
        sent_at,
        attribution_ends_at,
        campaign_name,
        klaviyo_flow_id,
        order_id,
        ordered_at,
        order_id is not null and claim_number = 1 as is_recovered
    from claims
)

select * from final
