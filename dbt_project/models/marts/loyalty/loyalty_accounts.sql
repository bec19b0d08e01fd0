{{ config(
    unique_key=['tenant_id', 'customer_id'],
    meta={'within': 'int_loyalty__touched'},
    indexes=[
        {'columns': ['tenant_id', 'tier']},
        {'columns': ['tenant_id', 'referral_code'], 'unique': true},
    ],
) }}

with accounts as (
    select * from {{ ref('int_loyalty__accounts') }}
),

touched as (
    select * from {{ ref('int_loyalty__touched') }}
),

late_codes as (
    select * from {{ ref('int_loyalty__late_codes') }}
),

tenant_settings as (
    select * from {{ ref('int_tenants__settings') }}
),

final as (
    select
        accounts.tenant_id,
        accounts.customer_id,
        accounts.points_balance,
        accounts.points_debt,
        accounts.lifetime_points_earned,
        accounts.lifetime_points_redeemed,
        accounts.total_orders,
        accounts.tier,
        accounts.tier_achieved_at,
        accounts.next_tier,
        accounts.points_to_next_tier,
        coalesce(late_codes.referral_code, accounts.drawn_code) as referral_code,
        accounts.joined_at,
        tenant_settings.currency
    from accounts
    inner join touched
        on
            accounts.tenant_id = touched.tenant_id
            and accounts.customer_id = touched.customer_id
    left join late_codes
        on
            accounts.tenant_id = late_codes.tenant_id
            and accounts.customer_id = late_codes.customer_id
    -- every tenant has settings
    inner join tenant_settings on accounts.tenant_id = tenant_settings.tenant_id
)

select * from final
