with raw_referrals as (
    select * from {{ source('raw', 'referrals') }}
),

phone_numbers as (
    select * from {{ source('raw', 'phone_numbers') }}
),

current_referrals as (
    select *
    from raw_referrals
    where
        _is_current
        and {{ visible('used_at') }}
),

final as (
    select
        current_referrals.tenant_id,
        current_referrals.id as sighting_id,
        current_referrals.id as referral_id,
        upper(trim(current_referrals.referral_code)) as referral_code,
        {{ normalise_email('current_referrals.referred_email') }} as referred_email,
        current_referrals.referred_email as referred_email_original,
        phone_numbers.e164 as referred_phone,
        current_referrals.referred_phone as referred_phone_original,
        current_referrals.order_id,
        current_referrals.used_at,
        current_referrals._load_id as load_id,
        current_referrals._loaded_at as loaded_at
    from current_referrals
    left join phone_numbers
        on
            current_referrals.tenant_id = phone_numbers.tenant_id
            and current_referrals.referred_phone = phone_numbers.phone
)

select * from final
