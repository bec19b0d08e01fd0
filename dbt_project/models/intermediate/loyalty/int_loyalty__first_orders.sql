{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    unique_key=['tenant_id', 'movement_id'],
    meta={'within': 'int_customers__touched'},
    indexes=[{'columns': ['tenant_id', 'customer_id']}],
) }}

-- Who referred a customer reads this when the customer is not derived anew.
with order_events as (
    select * from {{ ref('int_loyalty__order_events') }}
),

counted_orders as (
    select * from {{ ref('int_loyalty__order_events') }}
    where movement_type = 'order'
),

numbered_orders as (
    select
        tenant_id,
        customer_id,
        order_id,
        occurred_at as ordered_at,
        row_number() over (
            partition by customer_id, tenant_id
            order by occurred_at, order_id
        ) as order_number
    from counted_orders
),

final as (
    select
        order_events.tenant_id,
        order_events.movement_id,
        order_events.customer_id,
        order_events.order_id,
        order_events.movement_type,
        order_events.occurred_at,
        numbered_orders.ordered_at,
        order_events.order_amount,
        order_events.taken_before_amount,
        order_events.taken_after_amount
    from numbered_orders
    -- only the first order's events
    inner join order_events
        on
            numbered_orders.tenant_id = order_events.tenant_id
            and numbered_orders.order_id = order_events.order_id
    where numbered_orders.order_number = 1
)

select * from final
