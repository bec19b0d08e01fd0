with raw_consent_changes as (
    select * from {{ source('raw', 'consent_changes') }}
),

phone_numbers as (
    select * from {{ source('raw', 'phone_numbers') }}
),

current_consent_changes as (
    select *
    from raw_consent_changes
    where
        _is_current
        and {{ visible('changed_at') }}
),

final as (
    select
        current_consent_changes.tenant_id,
        current_consent_changes.id as sighting_id,
        current_consent_changes.id as consent_change_id,
        {{ normalise_email('current_consent_changes.email') }} as email,
        current_consent_changes.email as email_original,
        phone_numbers.e164 as phone,
        current_consent_changes.phone as phone_original,
        current_consent_changes.channel,
        current_consent_changes.subscribed as is_subscribed,
        current_consent_changes.reason,
        current_consent_changes.changed_at,
        current_consent_changes._load_id as load_id,
        current_consent_changes._loaded_at as loaded_at
    from current_consent_changes
    left join phone_numbers
        on
            current_consent_changes.tenant_id = phone_numbers.tenant_id
            and current_consent_changes.phone = phone_numbers.phone
)

select * from final
