with raw_redemption_requests as (
    select * from {{ source('raw', 'redemption_requests') }}
),

phone_numbers as (
    select * from {{ source('raw', 'phone_numbers') }}
),

current_redemption_requests as (
    select *
    from raw_redemption_requests
    where
        _is_current
        and {{ visible('requested_at') }}
),

final as (
    select
        current_redemption_requests.tenant_id,
        current_redemption_requests.id as sighting_id,
        current_redemption_requests.id as request_id,
        {{ normalise_email('current_redemption_requests.email') }} as email,
        current_redemption_requests.email as email_original,
        phone_numbers.e164 as phone,
        current_redemption_requests.phone as phone_original,
        current_redemption_requests.reward_id,
        current_redemption_requests.requested_at,
        current_redemption_requests._load_id as load_id,
        current_redemption_requests._loaded_at as loaded_at
    from current_redemption_requests
    left join phone_numbers
        on
            current_redemption_requests.tenant_id = phone_numbers.tenant_id
            and current_redemption_requests.phone = phone_numbers.phone
)

select * from final
