{{ config(
    unique_key=['tenant_id', 'referral_id'],
    indexes=[{'columns': ['tenant_id', 'customer_id']}],
) }}

with referrals as (
    select * from {{ ref('int_loyalty__referrals') }}
),

transactions as (
    select * from {{ ref('points_transactions') }}
    where transaction_type = 'earn_referral'
),

orders as (
    select * from {{ ref('orders') }}
),

tenant_settings as (
    select * from {{ ref('int_tenants__settings') }}
),

points_per_referral as (
    select
        tenant_id,
        reference_id,
        sum(points) as points_earned
    from transactions
    group by tenant_id, reference_id
),

final as (
    select
        referrals.tenant_id,
        referrals.referral_id,
        referrals.referrer_id as customer_id,
        referrals.referral_code,
        referrals.friend_id as referred_customer_id,
        referrals.used_at,
        referrals.status,
        orders.order_id,
        orders.ordered_at as converted_at,
        coalesce(orders.net_amount_tenant, 0) as revenue_amount,
        cast(coalesce(points_per_referral.points_earned, 0) as bigint) as points_earned,
        tenant_settings.currency
    from referrals
    inner join tenant_settings on referrals.tenant_id = tenant_settings.tenant_id
    left join orders
        on
            referrals.tenant_id = orders.tenant_id
            and referrals.first_order_id = orders.order_id
            and referrals.status = 'converted'
    left join points_per_referral
        on
            referrals.tenant_id = points_per_referral.tenant_id
            and referrals.referral_id = points_per_referral.reference_id
)

select * from final
