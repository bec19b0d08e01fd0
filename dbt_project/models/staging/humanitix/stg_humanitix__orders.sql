with raw_humanitix_orders as (
    select * from {{ source('raw', 'humanitix_orders') }}
),

phone_numbers as (
    select * from {{ source('raw', 'phone_numbers') }}
),

current_orders as (
    select *
    from raw_humanitix_orders
    where
        _is_current
        and {{ visible('"createdAt"') }}
),

final as (
    select
        current_orders.tenant_id,
        current_orders._id as sighting_id,
        current_orders._id as order_id,
        current_orders."eventId" as event_id,
        {{ normalise_email('current_orders.email') }} as email,
        current_orders.email as email_original,
        phone_numbers.e164 as phone,
        current_orders.mobile as phone_original,
        nullif(trim(current_orders."firstName"), '') as first_name,
        nullif(trim(current_orders."lastName"), '') as last_name,
        current_orders.status,
        current_orders."financialStatus" as financial_status,
        upper(trim(current_orders.currency)) as currency,
        current_orders."purchaseTotals" as purchase_totals,
        current_orders.totals,
        current_orders.discounts,
        current_orders."createdAt" as created_at,
        {{ visible_at('current_orders."completedAt"') }} as completed_at,
        coalesce(
            {{ visible('current_orders."completedAt"') }}, current_orders.status = 'complete'
        ) as is_completed,
        current_orders."updatedAt" as updated_at,
        coalesce(current_orders."isTest", false) as is_test,
        coalesce(current_orders._first_load_id, current_orders._load_id) as first_load_id,
        current_orders._load_id as load_id,
        current_orders._loaded_at as loaded_at
    from current_orders
    left join phone_numbers
        on
            current_orders.tenant_id = phone_numbers.tenant_id
            and current_orders.mobile = phone_numbers.phone
)

select * from final
