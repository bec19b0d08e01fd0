with raw_eventbrite_orders as (
    select * from {{ source('raw', 'eventbrite_orders') }}
),

current_orders as (
    select *
    from raw_eventbrite_orders
    where
        _is_current
        and {{ visible('created') }}
),

final as (
    select
        current_orders.tenant_id,
        current_orders.id as sighting_id,
        current_orders.id as order_id,
        current_orders.event_id,
        {{ normalise_email('current_orders.email') }} as email,
        current_orders.email as email_original,
        nullif(trim(current_orders.first_name), '') as first_name,
        nullif(trim(current_orders.last_name), '') as last_name,
        current_orders.created as created_at,
        current_orders.changed as changed_at,
        current_orders.status,
        current_orders.costs,
        nullif(trim(current_orders.promo_code), '') as promo_code,
        coalesce(current_orders._first_load_id, current_orders._load_id) as first_load_id,
        current_orders._load_id as load_id,
        current_orders._loaded_at as loaded_at
    from current_orders
)

select * from final
