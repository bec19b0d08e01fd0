with raw_eventbrite_attendees as (
    select * from {{ source('raw', 'eventbrite_attendees') }}
),

current_attendees as (
    select *
    from raw_eventbrite_attendees
    where
        _is_current
        and {{ visible('created') }}
),

final as (
    select
        tenant_id,
        id as sighting_id,
        id as attendee_id,
        order_id,
        event_id,
        created as created_at,
        changed as changed_at,
        status,
        coalesce(cancelled, false) as is_cancelled,
        coalesce(refunded, false) as is_refunded,
        coalesce(checked_in, false) as is_checked_in,
        ticket_class_name,
        quantity,
        profile,
        costs,
        _load_id as load_id,
        _loaded_at as loaded_at
    from current_attendees
)

select * from final
