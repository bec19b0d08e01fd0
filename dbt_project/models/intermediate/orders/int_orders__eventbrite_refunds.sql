-- What an order gave back beyond its tickets is dated by the order's last change.
with eventbrite_orders as (
    select * from {{ ref('int_orders__eventbrite') }}
),

eventbrite_attendees as (
    select * from {{ ref('stg_eventbrite__attendees') }}
),

currency_minor_units as (
    select * from {{ ref('currency_minor_units') }}
),

ticket_refunds as (
    select
        eventbrite_attendees.tenant_id,
        'eventbrite:' || eventbrite_attendees.order_id as order_id,
        'eventbrite-attendee:' || eventbrite_attendees.attendee_id as refund_id,
        eventbrite_attendees.changed_at as refunded_at,
        cast(
            {{ json_number("(eventbrite_attendees.costs -> 'gross')", 'value') }}
            / power(10, coalesce(currency_minor_units.minor_unit_digits, 2))
            as numeric(14, 2)
        ) as amount
    from eventbrite_attendees
    left join currency_minor_units
        on
            {{ json_text_path('eventbrite_attendees.costs', ['gross', 'currency']) }}
            = currency_minor_units.currency
    where eventbrite_attendees.is_refunded
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
        eventbrite_orders.tenant_id,
        eventbrite_orders.order_id,
        eventbrite_orders.order_id as refund_id,
        eventbrite_orders.fully_refunded_at as refunded_at,
        cast(
            eventbrite_orders.gross_amount - coalesce(refunded_on_tickets.amount, 0)
            as numeric(14, 2)
        ) as amount
    from eventbrite_orders
    left join refunded_on_tickets
        on
            eventbrite_orders.tenant_id = refunded_on_tickets.tenant_id
            and eventbrite_orders.order_id = refunded_on_tickets.order_id
    where eventbrite_orders.fully_refunded_at is not null
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
