with raw_humanitix_tickets as (
    select * from {{ source('raw', 'humanitix_tickets') }}
),

current_tickets as (
    select *
    from raw_humanitix_tickets
    where
        _is_current
        and {{ visible('"createdAt"') }}
),

final as (
    select
        tenant_id,
        _id as sighting_id,
        _id as ticket_id,
        "orderId" as order_id,
        "eventId" as event_id,
        status,
        "ticketTypeName" as ticket_type_name,
        price as price_amount,
        discount as discount_amount,
        total as total_amount,
        coalesce(refunded, false) as is_refunded,
        {{ visible_at('"cancelledAt"') }} as cancelled_at,
        "createdAt" as created_at,
        "updatedAt" as updated_at,
        _load_id as load_id,
        _loaded_at as loaded_at
    from current_tickets
)

select * from final
