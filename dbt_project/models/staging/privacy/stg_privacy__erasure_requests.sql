with raw_erasure_requests as (
    select * from {{ source('raw', 'erasure_requests') }}
),

phone_numbers as (
    select * from {{ source('raw', 'phone_numbers') }}
),

current_erasure_requests as (
    select *
    from raw_erasure_requests
    where
        _is_current
        and {{ visible('requested_at') }}
),

final as (
    select
        current_erasure_requests.tenant_id,
        current_erasure_requests.id as sighting_id,
        current_erasure_requests.id as request_id,
        {{ normalise_email('current_erasure_requests.email') }} as email,
        current_erasure_requests.email as email_original,
        phone_numbers.e164 as phone,
        current_erasure_requests.phone as phone_original,
        current_erasure_requests.requested_at,
        current_erasure_requests._load_id as load_id,
        current_erasure_requests._loaded_at as loaded_at
    from current_erasure_requests
    left join phone_numbers
        on
            current_erasure_requests.tenant_id = phone_numbers.tenant_id
            and current_erasure_requests.phone = phone_numbers.phone
)

select * from final
