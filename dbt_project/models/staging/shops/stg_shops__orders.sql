with raw_shop_orders as (
    select * from {{ source('raw', 'shop_orders') }}
),

phone_numbers as (
    select * from {{ source('raw', 'phone_numbers') }}
),

current_orders as (
    select *
    from raw_shop_orders
    where
        _is_current
        and {{ visible('created_at') }}
),

final as (
    select
        current_orders.tenant_id,
        current_orders.id as sighting_id,
        current_orders.id as order_id,
        current_orders.shop_id,
        nullif(trim(current_orders.slug), '') as slug,
        phone_numbers.e164 as phone,
        current_orders.phone_number as phone_original,
        {{ normalise_email('current_orders.email') }} as email,
        current_orders.email as email_original,
        nullif(trim(current_orders.customer_name), '') as customer_name,
        nullif(trim(current_orders.network), '') as network,
        current_orders.total_price as total_amount,
        upper(trim(current_orders.currency)) as currency,
        current_orders.payment_method,
        current_orders.status,
        current_orders.refunded_amount,
        current_orders.created_at,
        coalesce(current_orders.updated_at, current_orders.created_at) as updated_at,
        current_orders.referrer,
        current_orders.utm_source,
        current_orders.utm_medium,
        current_orders.utm_campaign,
        coalesce(current_orders._first_load_id, current_orders._load_id) as first_load_id,
        current_orders._load_id as load_id,
        current_orders._loaded_at as loaded_at
    from current_orders
    left join phone_numbers
        on
            current_orders.tenant_id = phone_numbers.tenant_id
            and current_orders.phone_number = phone_numbers.phone
)

select * from final
