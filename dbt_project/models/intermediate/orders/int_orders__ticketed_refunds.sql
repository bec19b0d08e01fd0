{{ config(unique_key=['tenant_id', 'refund_id']) }}

-- What an order gave back beyond its tickets is dated by the order's last change; nothing, where it
-- was free or the part is not told. A ticket whose price nobody tells gave back nothing either, but
-- its order is refunded in part.
with eventbrite_orders as (
    select * from {{ ref('int_orders__eventbrite') }}
),

humanitix_orders as (
    select * from {{ ref('int_orders__humanitix') }}
),

eventbrite_ticket_refunds as (
    select * from {{ ref('int_orders__eventbrite_ticket_refunds') }}
),

humanitix_ticket_refunds as (
    select * from {{ ref('int_orders__humanitix_ticket_refunds') }}
),

ticket_refunds as (
    select * from eventbrite_ticket_refunds

    union all

    select * from humanitix_ticket_refunds
),

orders_to_pay as (
    select
        tenant_id,
        order_id
    from eventbrite_orders
    where gross_amount > discount_amount

    union all

    select
        tenant_id,
        order_id
    from humanitix_orders
    where gross_amount > discount_amount
),

-- Drops free tickets, and those of free orders: to give one back is no refund.
paid_ticket_refunds as (
    select
        ticket_refunds.tenant_id,
        ticket_refunds.order_id,
        ticket_refunds.refund_id,
        ticket_refunds.refunded_at,
        coalesce(ticket_refunds.amount, 0) as amount
    from ticket_refunds
    left join orders_to_pay
        on
            ticket_refunds.tenant_id = orders_to_pay.tenant_id
            and ticket_refunds.order_id = orders_to_pay.order_id
    where
        ticket_refunds.amount > 0
        or (ticket_refunds.amount is null and orders_to_pay.order_id is not null)
),

refunded_on_orders as (
    select
        tenant_id,
        order_id,
        true as is_refunded,
        fully_refunded_at as refunded_at,
        gross_amount as amount
    from eventbrite_orders
    where fully_refunded_at is not null

    union all

    select
        tenant_id,
        order_id,
        is_refunded,
        updated_at as refunded_at,
        refunded_amount as amount
    from humanitix_orders
),

refunded_on_tickets as (
    select
        tenant_id,
        order_id,
        sum(amount) as amount
    from paid_ticket_refunds
    group by tenant_id, order_id
),

rest_of_orders as (
    select
        refunded_on_orders.tenant_id,
        refunded_on_orders.order_id,
        refunded_on_orders.order_id as refund_id,
        refunded_on_orders.refunded_at,
        refunded_on_orders.amount - coalesce(refunded_on_tickets.amount, 0) as amount
    from refunded_on_orders
    left join refunded_on_tickets
        on
            refunded_on_orders.tenant_id = refunded_on_tickets.tenant_id
            and refunded_on_orders.order_id = refunded_on_tickets.order_id
    where
        refunded_on_orders.amount > coalesce(refunded_on_tickets.amount, 0)
        or (refunded_on_orders.is_refunded and refunded_on_tickets.order_id is null)
),

final as (
    select
        tenant_id,
        order_id,
        refund_id,
        refunded_at,
        amount
    from paid_ticket_refunds

    union all

    select
        tenant_id,
        order_id,
        refund_id,
        refunded_at,
        amount
    from rest_of_orders
)

select * from final
