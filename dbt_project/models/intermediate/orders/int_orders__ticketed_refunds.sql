{{ config(unique_key=['tenant_id', 'refund_id']) }}

-- What an order gave back beyond its tickets is dated by the order's last change; nothing, where it
-- was free or the part is not told.
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
    from ticket_refunds
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
        or (refunded_on_orders.is_refunded and coalesce(refunded_on_tickets.amount, 0) = 0)
),

final as (
    select
        tenant_id,
        order_id,
        refund_id,
        refunded_at,
        amount
    from ticket_refunds
    where amount > 0

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
