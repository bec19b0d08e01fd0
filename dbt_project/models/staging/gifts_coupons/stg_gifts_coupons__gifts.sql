with raw_gifts as (
    select * from {{ source('raw', 'gifts') }}
),

current_gifts as (
    select *
    from raw_gifts
    where
        _is_current
        and {{ visible('created_at') }}
),

final as (
    select
        tenant_id,
        id as sighting_id,
        id as gift_id,
        order_id,
        {{ normalise_email('sender_email') }} as sender_email,
        sender_email as sender_email_original,
        nullif(trim(sender_name), '') as sender_name,
        {{ normalise_email('recipient_email') }} as recipient_email,
        recipient_email as recipient_email_original,
        nullif(trim(recipient_name), '') as recipient_name,
        message,
        scheduled_delivery_at,
        created_at,
        _load_id as load_id,
        _loaded_at as loaded_at
    from current_gifts
)

select * from final
