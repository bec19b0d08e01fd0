{{ config(unique_key=['tenant_id', 'refund_id']) }}

-- Every source's refunds as dated facts in order currency, not rounded. What was given back may be
-- nothing where a source calls an order refunded: it was free, or the part is not told.
with shopify_refunds as (
    select * from {{ ref('int_orders__shopify_refunds') }}
),

ticketed_refunds as (
    select * from {{ ref('int_orders__ticketed_refunds') }}
),

shop_orders as (
    select * from {{ ref('int_orders__shops') }}
),

shop_refunds as (
    select
        tenant_id,
        order_id,
        order_id as refund_id,
        updated_at as refunded_at,
        refunded_amount as amount
    from shop_orders
    where refunded_amount is not null
),

all_refunds as (
    select * from shopify_refunds

    union all

    select * from ticketed_refunds

    union all

    select * from shop_refunds
),

final as (
    select
        tenant_id,
        order_id,
        refund_id,
        refunded_at,
        amount
    from all_refunds
)

select * from final
