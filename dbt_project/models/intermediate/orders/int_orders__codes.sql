{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    unique_key=['tenant_id', 'order_id', 'code'],
    meta={'within': 'int_customers__touched'},
    indexes=[
        {'columns': ['tenant_id', 'code']},
        {'columns': ['tenant_id', 'customer_id']},
    ],
) }}

-- Of everybody's orders: whoever buys with a member's code uses up the member's reward.
with orders as (
    select * from {{ ref('int_orders__valued') }}
    where discount_codes is not null
),

codes as (
    select
        orders.tenant_id,
        orders.customer_id,
        orders.order_id,
        upper(trim(item.value)) as code,
        orders.ordered_at,
        orders.was_paid
    from orders
    cross join lateral {{ text_items('orders.discount_codes') }} as item (value, place)
),

final as (
    select distinct
        tenant_id,
        customer_id,
        order_id,
        code,
        ordered_at,
        was_paid
    from codes
    where code <> ''
)

select * from final
