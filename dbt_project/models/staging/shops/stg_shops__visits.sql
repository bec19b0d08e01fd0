with raw_shop_visits as (
    select * from {{ source('raw', 'shop_visits') }}
),

phone_numbers as (
    select * from {{ source('raw', 'phone_numbers') }}
),

current_visits as (
    select *
    from raw_shop_visits
    where
        _is_current
        and {{ visible('accessed_at') }}
),

final as (
    select
        current_visits.tenant_id,
        current_visits._sighting_id as sighting_id,
        coalesce(
            current_visits.id,
            concat('load:', current_visits._load_id, ':', current_visits._line)
        ) as visit_id,
        current_visits.shop_id,
        nullif(trim(current_visits.slug), '') as slug,
        current_visits.session as session_id,
        phone_numbers.e164 as phone,
        current_visits.phone as phone_original,
        {{ normalise_email('current_visits.email') }} as email,
        current_visits.email as email_original,
        current_visits.accessed_at,
        current_visits.referrer,
        current_visits.utm_source,
        current_visits.utm_medium,
        current_visits.utm_campaign,
        nullif(trim(current_visits.order_id), '') as order_id,
        coalesce(current_visits._first_load_id, current_visits._load_id) as first_load_id,
        current_visits._load_id as load_id,
        current_visits._loaded_at as loaded_at
    from current_visits
    left join phone_numbers
        on
            current_visits.tenant_id = phone_numbers.tenant_id
            and current_visits.phone = phone_numbers.phone
)

select * from final
