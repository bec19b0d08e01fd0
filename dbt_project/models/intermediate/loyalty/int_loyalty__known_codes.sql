{{ config(unique_key=['tenant_id', 'referral_code']) }}

-- A member's own code, and those of ids that turned out to be the same person: what was printed
-- once goes on leading to its owner.
with referral_codes as (
    select * from {{ ref('int_loyalty__referral_codes') }}
),

redirects as (
    select * from {{ ref('customer_redirects') }}
),

hashed_ids as (
    select
        tenant_id,
        customer_id,
        old_customer_id,
        {{ hash_id(['tenant_id', 'old_customer_id']) }} as code_hash
    from redirects
),

former_codes as (
    select
        tenant_id,
        {{ referral_code('code_hash') }} as referral_code,
        customer_id,
        row_number() over (
            partition by tenant_id, {{ referral_code('code_hash') }}
            order by old_customer_id
        ) as choice
    from hashed_ids
),

final as (
    select
        tenant_id,
        referral_code,
        customer_id
    from referral_codes

    union all

    select
        former_codes.tenant_id,
        former_codes.referral_code,
        former_codes.customer_id
    from former_codes
    where
        former_codes.choice = 1
        and not exists (
            select 1
            from referral_codes
            where
                former_codes.tenant_id = referral_codes.tenant_id
                and former_codes.referral_code = referral_codes.referral_code
        )
)

select * from final
