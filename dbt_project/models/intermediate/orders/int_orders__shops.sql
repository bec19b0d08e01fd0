{{ config(unique_key=['tenant_id', 'order_id']) }}

-- A slug shop only knows the present status and when it last changed: a cancelled order was never
-- paid (a paid one is refunded), and a refund is dated by the change. A refunded order gave back
-- all of its money, also where the amount beside it says less.
with shop_orders as (
    {{ owned_rows('stg_shops__orders', 'shop_orders') }}
),

final as (
    select
        tenant_id,
        'shop:' || order_id as order_id,
        'shop' as source,
        order_id as source_order_id,
        customer_id,
        shop_id,
        slug,
        phone,
        network,
        created_at as ordered_at,
        case when status = 'cancelled' then updated_at end as cancelled_at,
        case
            when status = 'refunded' then greatest(refunded_amount, total_amount)
            when status = 'partially_refunded' then coalesce(refunded_amount, 0)
        end as refunded_amount,
        updated_at,
        false as is_test,
        status = 'failed' as is_failed,
        status in ('paid', 'partially_refunded', 'refunded') as is_paid,
        total_amount as gross_amount,
        0 as discount_amount,
        currency
    from shop_orders
)

select * from final
