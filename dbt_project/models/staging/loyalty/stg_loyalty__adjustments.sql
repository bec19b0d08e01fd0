with raw_loyalty_adjustments as (
    select * from {{ source('raw', 'loyalty_adjustments') }}
),

phone_numbers as (
    select * from {{ source('raw', 'phone_numbers') }}
),

current_adjustments as (
    select *
    from raw_loyalty_adjustments
    where
        _is_current
        and {{ visible('occurred_at') }}
),

final as (
    select
        current_adjustments.tenant_id,
        current_adjustments.id as sighting_id,
        current_adjustments.id as adjustment_id,
        {{ normalise_email('current_adjustments.email') }} as email,
        current_adjustments.email as email_original,
        phone_numbers.e164 as phone,
        current_adjustments.phone as phone_original,
        current_adjustments.type as adjustment_type,
        current_adjustments.points,
        current_adjustments.reason,
        current_adjustments.occurred_at,
        current_adjustments._load_id as load_id,
        current_adjustments._loaded_at as loaded_at
    from current_adjustments
    left join phone_numbers
        on
            current_adjustments.tenant_id = phone_numbers.tenant_id
            and current_adjustments.phone = phone_numbers.phone
)

select * from final
