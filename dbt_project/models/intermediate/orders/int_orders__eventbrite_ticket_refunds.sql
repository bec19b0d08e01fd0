{{ config(unique_key=['tenant_id', 'refund_id']) }}

with eventbrite_attendees as (
    {{ owned_rows('stg_eventbrite__attendees', 'eventbrite_attendees') }}
),

currency_minor_units as (
    select * from {{ ref('currency_minor_units') }}
),

final as (
    select
        eventbrite_attendees.tenant_id,
        'eventbrite:' || eventbrite_attendees.order_id as order_id,
        'eventbrite-attendee:' || eventbrite_attendees.attendee_id as refund_id,
        eventbrite_attendees.changed_at as refunded_at,
        cast(
            {{ json_number("(eventbrite_attendees.costs -> 'gross')", 'value') }}
            / power(10, coalesce(currency_minor_units.minor_unit_digits, 2))
            as numeric(16, 4)
        ) as amount
    from eventbrite_attendees
    left join currency_minor_units
        on
            {{ json_text_path('eventbrite_attendees.costs', ['gross', 'currency']) }}
            = currency_minor_units.currency
    where eventbrite_attendees.is_refunded
)

select * from final
