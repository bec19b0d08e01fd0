with raw_klaviyo_profiles as (
    select * from {{ source('raw', 'klaviyo_profiles') }}
),

phone_numbers as (
    select * from {{ source('raw', 'phone_numbers') }}
),

current_profiles as (
    select *
    from raw_klaviyo_profiles
    where
        _is_current
        and {{ visible('created') }}
),

final as (
    select
        current_profiles.tenant_id,
        current_profiles.id as sighting_id,
        current_profiles.id as klaviyo_profile_id,
        {{ normalise_email('current_profiles.email') }} as email,
        current_profiles.email as email_original,
        phone_numbers.e164 as phone,
        current_profiles.phone_number as phone_original,
        nullif(trim(current_profiles.first_name), '') as first_name,
        nullif(trim(current_profiles.last_name), '') as last_name,
        case
            when
                current_profiles.email_consent_at is null
                or {{ visible('current_profiles.email_consent_at') }}
                then current_profiles.email_consent
        end as email_consent,
        {{ visible_at('current_profiles.email_consent_at') }} as email_consent_at,
        case
            when
                current_profiles.sms_consent_at is null
                or {{ visible('current_profiles.sms_consent_at') }}
                then current_profiles.sms_consent
        end as sms_consent,
        {{ visible_at('current_profiles.sms_consent_at') }} as sms_consent_at,
        coalesce(current_profiles.email_suppressed, false) as is_email_suppressed,
        current_profiles.created as created_at,
        current_profiles.updated as updated_at,
        coalesce(current_profiles._first_load_id, current_profiles._load_id) as first_load_id,
        current_profiles._load_id as load_id,
        current_profiles._loaded_at as loaded_at
    from current_profiles
    left join phone_numbers
        on
            current_profiles.tenant_id = phone_numbers.tenant_id
            and current_profiles.phone_number = phone_numbers.phone
)

select * from final
