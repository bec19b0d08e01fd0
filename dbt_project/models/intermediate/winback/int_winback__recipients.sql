{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    unique_key=['tenant_id', 'campaign_id', 'customer_id'],
    meta={'within': 'int_customers__touched'},
    indexes=[{'columns': ['tenant_id', 'customer_id']}],
) }}

with due as (
    select * from {{ ref('int_winback__due') }}
),

responses as (
    select * from {{ ref('int_winback__responses') }}
),

sends as (
    select * from {{ ref('int_winback__sends') }}
),

baseline as (
    select * from {{ ref('int_winback__baseline') }}
),

orders as (
    select * from {{ ref('int_orders__valued') }}
),

codes as (
    select * from {{ ref('int_orders__codes') }}
    where {{ is_touched('int_orders__codes') }}
),

recoveries as (
    select
        tenant_id,
        campaign_id,
        customer_id,
        order_id
    from sends
    where is_recovered

    union all

    select
        tenant_id,
        campaign_id,
        customer_id,
        order_id
    from baseline
),

final as (
    select
        due.tenant_id,
        due.campaign_id,
        due.customer_id,
        due.enrolled_at,
        due.is_held_out,
        due.due_at,
        due.message_id,
        due.skip_reason,
        due.sent_at,
        due.attribution_ends_at,
        due.bought_at,
        responses.opened_at,
        responses.clicked_at,
        responses.unsubscribed_at,
        orders.ordered_at as recovered_at,
        orders.order_id as recovery_order_id,
        orders.net_amount_tenant as recovered_amount,
        codes.code as discount_code_used
    from due
    left join responses
        on
            due.tenant_id = responses.tenant_id
            and due.campaign_id = responses.campaign_id
            and due.customer_id = responses.customer_id
    left join recoveries
        on
            due.tenant_id = recoveries.tenant_id
            and due.campaign_id = recoveries.campaign_id
            and due.customer_id = recoveries.customer_id
    left join orders
        on
            recoveries.tenant_id = orders.tenant_id
            and recoveries.order_id = orders.order_id
    left join codes
        on
            recoveries.tenant_id = codes.tenant_id
            and recoveries.order_id = codes.order_id
            and upper(trim(due.discount_code)) = codes.code
)

select * from final
