with raw_shopify_orders as (
    select * from {{ source('raw', 'shopify_orders') }}
),

order_phone_numbers as (
    select * from {{ source('raw', 'phone_numbers') }}
),

customer_phone_numbers as (
    select * from {{ source('raw', 'phone_numbers') }}
),

current_orders as (
    select *
    from raw_shopify_orders
    where
        _is_current
        and {{ visible('created_at') }}
),

final as (
    select
        current_orders.tenant_id,
        current_orders.id as sighting_id,
        current_orders.id as order_id,
        current_orders.name as order_name,
        {{ normalise_email('current_orders.email') }} as email,
        current_orders.email as email_original,
        order_phone_numbers.e164 as phone,
        current_orders.phone as phone_original,
        current_orders.created_at,
        current_orders.updated_at,
        {{ visible_at('current_orders.cancelled_at') }} as cancelled_at,
        coalesce(current_orders.test, false) as is_test,
        upper(trim(current_orders.currency)) as currency,
        current_orders.financial_status,
        current_orders.total_price as total_amount,
        current_orders.subtotal_price as subtotal_amount,
        current_orders.total_discounts as discount_amount,
        current_orders.total_tax as tax_amount,
        nullif(trim({{ json_text('current_orders.customer', 'id') }}), '') as shopify_customer_id,
        {{ normalise_email(json_text('current_orders.customer', 'email')) }} as customer_email,
        {{ json_text('current_orders.customer', 'email') }} as customer_email_original,
        customer_phone_numbers.e164 as customer_phone,
        {{ json_text('current_orders.customer', 'phone') }} as customer_phone_original,
        nullif(trim({{ json_text('current_orders.customer', 'first_name') }}), '') as first_name,
        nullif(trim({{ json_text('current_orders.customer', 'last_name') }}), '') as last_name,
        {{ json_list('current_orders.line_items') }} as line_items,
        {{ json_list('current_orders.refunds') }} as refunds,
        {{ json_list('current_orders.transactions') }} as transactions,
        {{ json_list('current_orders.discount_codes') }} as discount_codes,
        current_orders.landing_site,
        current_orders.referring_site,
        {{ json_list('current_orders.note_attributes') }} as note_attributes,
        coalesce(current_orders._first_load_id, current_orders._load_id) as first_load_id,
        current_orders._load_id as load_id,
        current_orders._loaded_at as loaded_at
    from current_orders
    left join order_phone_numbers
        on
            current_orders.tenant_id = order_phone_numbers.tenant_id
            and current_orders.phone = order_phone_numbers.phone
    left join customer_phone_numbers
        on
            current_orders.tenant_id = customer_phone_numbers.tenant_id
            and {{ json_text('current_orders.customer', 'phone') }} = customer_phone_numbers.phone
)

select * from final
