{{ config(unique_key=['tenant_id', 'refund_id']) }}

-- Amounts are differences of rounded running totals, in both currencies, so that the refunds of an
-- order that was given back in full add up to exactly what it had brought in.
with refund_records as (
    select * from {{ ref('int_orders__refund_records') }}
    where {{ visible('refunded_at') }}
),

orders as (
    select * from {{ ref('int_orders__rated') }}
),

running_totals as (
    select
        refund_records.tenant_id,
        refund_records.refund_id,
        refund_records.order_id,
        orders.customer_id,
        orders.currency,
        orders.tenant_currency,
        orders.rate,
        orders.owed_amount,
        -- a refund never precedes its order
        greatest(refund_records.refunded_at, orders.ordered_at) as refunded_at,
        round(sum(refund_records.amount) over refunds_so_far, 2) as refunded_so_far_amount,
        round(sum(refund_records.amount) over refunds_so_far - refund_records.amount, 2)
            as refunded_before_amount
    from refund_records
    -- drops the refunds of test orders
    inner join orders
        on
            refund_records.tenant_id = orders.tenant_id
            and refund_records.order_id = orders.order_id
    window refunds_so_far as (
        partition by refund_records.order_id, refund_records.tenant_id
        order by refund_records.refunded_at, refund_records.refund_id
        rows between unbounded preceding and current row
    )
),

final as (
    select
        tenant_id,
        refund_id,
        order_id,
        customer_id,
        refunded_at,
        cast(refunded_so_far_amount - refunded_before_amount as numeric(14, 2)) as amount,
        currency,
        cast(
            round(refunded_so_far_amount * rate, 2)
            - round(refunded_before_amount * rate, 2)
            as numeric(14, 2)
        ) as amount_tenant,
        tenant_currency,
        refunded_so_far_amount >= owed_amount as is_fully_refunded
    from running_totals
)

select * from final
