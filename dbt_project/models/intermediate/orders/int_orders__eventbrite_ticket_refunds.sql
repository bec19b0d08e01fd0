{{ config(unique_key=['tenant_id', 'refund_id']) }}

-- An order and all its tickets are in one currency, however a ticket spells it.
with eventbrite_attendees as (
    {{ owned_rows('stg_eventbrite__attendees', 'eventbrite_attendees') }}
),

eventbrite_orders as (
    select * from {{ ref('int_orders__eventbrite') }}
),

currency_minor_units as (
    select * from {{ ref('currency_minor_units') }}
),

final as (
    select
        eventbrite_attendees.tenant_id,
        eventbrite_orders.order_id,
        'eventbrite-attendee:' || eventbrite_attendees.attendee_id as refund_id,
        eventbrite_attendees.changed_at as refunded_at,
        cast(
            {{ json_number("(eventbrite_attendees.costs -> 'gross')", 'value') }}
            / power(10, coalesce(currency_minor_units.minor_unit_digits, 2))
            as numeric(16, 4)
        ) as amount
    from eventbrite_attendees
    -- drops the tickets of orders that nobody knows
    inner join eventbrite_orders
        on
            eventbrite_attendees.tenant_id = eventbrite_orders.tenant_id
            and eventbrite_attendees.order_id = eventbrite_orders.source_order_id
    left join currency_minor_units on eventbrite_orders.currency = currency_minor_units.currency
    where eventbrite_attendees.is_refunded
)

select * from final
