with raw_gift_claims as (
    select * from {{ source('raw', 'gift_claims') }}
),

current_gift_claims as (
    select *
    from raw_gift_claims
    where
        _is_current
        and {{ visible('claimed_at') }}
),

final as (
    select
        tenant_id,
        id as sighting_id,
        id as gift_claim_id,
        upper(trim(gift_code)) as gift_code,
        {{ normalise_email('email') }} as email,
        email as email_original,
        claimed_at,
        _load_id as load_id,
        _loaded_at as loaded_at
    from current_gift_claims
)

select * from final
