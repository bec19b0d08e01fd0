with raw_touchpoints as (
    select * from {{ source('raw', 'touchpoints') }}
),

phone_numbers as (
    select * from {{ source('raw', 'phone_numbers') }}
),

current_touchpoints as (
    select *
    from raw_touchpoints
    where
        _is_current
        and {{ visible('occurred_at') }}
),

final as (
    select
        current_touchpoints.tenant_id,
        current_touchpoints._sighting_id as sighting_id,
        coalesce(
            current_touchpoints.id,
            concat('load:', current_touchpoints._load_id, ':', current_touchpoints._line)
        ) as touchpoint_id,
        {{ normalise_email('current_touchpoints.email') }} as email,
        current_touchpoints.email as email_original,
        phone_numbers.e164 as phone,
        current_touchpoints.phone as phone_original,
        nullif(trim(current_touchpoints.anonymous_id), '') as anonymous_id,
        nullif(trim(current_touchpoints.shopify_customer_id), '') as shopify_customer_id,
        nullif(trim(current_touchpoints.klaviyo_profile_id), '') as klaviyo_profile_id,
        current_touchpoints.type as touchpoint_type,
        current_touchpoints.channel,
        nullif(trim(current_touchpoints.reference_id), '') as reference_id,
        nullif(trim(current_touchpoints.reference_type), '') as reference_type,
        current_touchpoints.metadata,
        current_touchpoints.value as value_amount,
        nullif(trim(current_touchpoints.collection), '') as collection,
        current_touchpoints.utm_source,
        current_touchpoints.utm_medium,
        current_touchpoints.utm_campaign,
        current_touchpoints.occurred_at,
        coalesce(current_touchpoints._first_load_id, current_touchpoints._load_id) as first_load_id,
        current_touchpoints._load_id as load_id,
        current_touchpoints._loaded_at as loaded_at
    from current_touchpoints
    left join phone_numbers
        on
            current_touchpoints.tenant_id = phone_numbers.tenant_id
            and current_touchpoints.phone = phone_numbers.phone
)

select * from final
