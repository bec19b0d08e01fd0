{{ config(unique_key=['tenant_id', 'referral_code']) }}

-- A member's own code, and those of ids that turned out to be the same person: what was printed
-- once goes on leading to its owner. Few of all codes are ever used.
with referrals as (
    select * from {{ ref('stg_loyalty__referrals') }}
),

members as (
    select * from {{ ref('int_loyalty__members') }}
),

late_codes as (
    select * from {{ ref('int_loyalty__late_codes') }}
),

redirects as (
    select * from {{ ref('customer_redirects') }}
),

used_codes as (
    select distinct
        tenant_id,
        referral_code
    from referrals
),

present_codes as (
    select
        tenant_id,
        drawn_code as referral_code,
        customer_id
    from members
    where
        not exists (
            select 1
            from late_codes
            where
                members.tenant_id = late_codes.tenant_id
                and members.customer_id = late_codes.customer_id
        )

    union all

    select
        tenant_id,
        referral_code,
        customer_id
    from late_codes
),

own_codes as (
    select
        present_codes.tenant_id,
        present_codes.referral_code,
        present_codes.customer_id
    from present_codes
    inner join used_codes
        on
            present_codes.tenant_id = used_codes.tenant_id
            and present_codes.referral_code = used_codes.referral_code
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
    from own_codes

    union all

    select
        former_codes.tenant_id,
        former_codes.referral_code,
        former_codes.customer_id
    from former_codes
    inner join used_codes
        on
            former_codes.tenant_id = used_codes.tenant_id
            and former_codes.referral_code = used_codes.referral_code
    -- who is no member gets no points, under no code
    inner join members
        on
            former_codes.tenant_id = members.tenant_id
            and former_codes.customer_id = members.customer_id
    where
        former_codes.choice = 1
        and not exists (
            select 1
            from own_codes
            where
                former_codes.tenant_id = own_codes.tenant_id
                and former_codes.referral_code = own_codes.referral_code
        )
)

select * from final
