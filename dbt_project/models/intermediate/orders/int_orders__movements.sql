{{ config(unique_key=['tenant_id', 'movement_id']) }}

-- Dated changes of what counts: an order counts from the instant it was placed until it is refunded
-- in full or cancelled. Summed up to any instant, the movements give order count and lifetime
-- value.
with orders as (
    select * from {{ ref('int_orders__valued') }}
),

refunds as (
    select * from {{ ref('int_orders__refunds') }}
),

paid_orders as (
    select * from orders
    where was_paid
),

placed as (
    select
        tenant_id,
        customer_id,
        order_id,
        'order:' || order_id as movement_id,
        'order' as movement_type,
        ordered_at as occurred_at,
        1 as order_delta,
        owed_amount_tenant as amount_tenant,
        tenant_currency as currency
    from paid_orders
),

-- Refunds while the order still counts; the one that ends it takes the order with it.
partial_refunds as (
    select
        paid_orders.tenant_id,
        paid_orders.customer_id,
        paid_orders.order_id,
        'refund:' || refunds.refund_id as movement_id,
        'refund' as movement_type,
        refunds.refunded_at as occurred_at,
        0 as order_delta,
        -refunds.amount_tenant as amount_tenant,
        paid_orders.tenant_currency as currency
    from paid_orders
    -- only orders with refunds
    inner join refunds
        on
            paid_orders.tenant_id = refunds.tenant_id
            and paid_orders.order_id = refunds.order_id
    where
        not refunds.is_fully_refunded
        and (paid_orders.uncounted_at is null or refunds.refunded_at <= paid_orders.uncounted_at)
),

refunded_before_the_end as (
    select
        tenant_id,
        order_id,
        sum(amount_tenant) as amount_tenant
    from partial_refunds
    group by tenant_id, order_id
),

ended as (
    select
        paid_orders.tenant_id,
        paid_orders.customer_id,
        paid_orders.order_id,
        'end:' || paid_orders.order_id as movement_id,
        case when paid_orders.status = 'refunded' then 'refund' else 'cancellation' end
            as movement_type,
        paid_orders.uncounted_at as occurred_at,
        -1 as order_delta,
        -(paid_orders.owed_amount_tenant + coalesce(refunded_before_the_end.amount_tenant, 0))
            as amount_tenant,
        paid_orders.tenant_currency as currency
    from paid_orders
    left join refunded_before_the_end
        on
            paid_orders.tenant_id = refunded_before_the_end.tenant_id
            and paid_orders.order_id = refunded_before_the_end.order_id
    where paid_orders.uncounted_at is not null
),

all_movements as (
    select * from placed
    union all
    select * from partial_refunds
    union all
    select * from ended
),

final as (
    select
        tenant_id,
        customer_id,
        order_id,
        movement_id,
        movement_type,
        occurred_at,
        order_delta,
        cast(amount_tenant as numeric(14, 2)) as amount_tenant,
        currency
    from all_movements
)

select * from final
