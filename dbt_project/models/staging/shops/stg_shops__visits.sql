with raw_shop_visits as (
    select * from {{ source('raw', 'shop_visits') }}
),

raw_versions as (
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

replaced_versions as (
    select
        tenant_id,
        id,
        min(_load_id) as first_load_id
    from raw_versions
    where not _is_current
    group by
        tenant_id,
        id
),

final as (
    select
        current_visits.tenant_id,
        coalesce(
            current_visits.id,
            concat('load:', current_visits._load_id, ':', current_visits._line)
        ) as visit_id,
        current_visits.shop_id,
        current_visits.slug,
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
        current_visits.order_id,
        least(current_visits._load_id, replaced_versions.first_load_id) as first_load_id,
        current_visits._load_id as load_id,
        current_visits._loaded_at as loaded_at
    from current_visits
    left join phone_numbers
        on
            current_visits.tenant_id = phone_numbers.tenant_id
            and current_visits.phone = phone_numbers.phone
    left join replaced_versions
        on
            current_visits.tenant_id = replaced_versions.tenant_id
            and current_visits.id = replaced_versions.id
)

select * from final
