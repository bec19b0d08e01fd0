-- What an order gave back beyond its tickets is dated by the order's last change.
with humanitix_orders as (
    select * from {{ ref('int_orders__humanitix') }}
),

humanitix_tickets as (
    select * from {{ ref('stg_humanitix__tickets') }}
),

ticket_refunds as (
    select
        tenant_id,
        'humanitix:' || order_id as order_id,
        'humanitix-ticket:' || ticket_id as refund_id,
        coalesce(cancelled_at, updated_at) as refunded_at,
        cast(total_amount as numeric(14, 2)) as amount
    from humanitix_tickets
    where is_refunded
),

refunded_on_tickets as (
    select
        tenant_id,
        order_id,
        sum(amount) as amount
    from ticket_refunds
    group by tenant_id, order_id
),

order_refunds as (
    select
        humanitix_orders.tenant_id,
        humanitix_orders.order_id,
        humanitix_orders.order_id as refund_id,
        humanitix_orders.updated_at as refunded_at,
        cast(
            humanitix_orders.refunded_amount - coalesce(refunded_on_tickets.amount, 0)
            as numeric(14, 2)
        ) as amount
    from humanitix_orders
    left join refunded_on_tickets
        on
            humanitix_orders.tenant_id = refunded_on_tickets.tenant_id
            and humanitix_orders.order_id = refunded_on_tickets.order_id
),

final as (
    select
        tenant_id,
        order_id,
        refund_id,
        refunded_at,
        amount
    from ticket_refunds

    union all

    select
        tenant_id,
        order_id,
        refund_id,
        refunded_at,
        amount
    from order_refunds
)

select * from final
