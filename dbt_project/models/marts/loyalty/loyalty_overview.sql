{{ config(unique_key=['tenant_id']) }}

with accounts as (
    select * from {{ ref('loyalty_accounts') }}
),

redemptions as (
    select * from {{ ref('reward_redemptions') }}
    where decided_at is not null
),

referrals as (
    select * from {{ ref('referrals') }}
    where status in ('pending', 'converted')
),

leaders as (
    select * from {{ ref('referral_leaderboard') }}
    where place <= 5
),

tenant_settings as (
    select * from {{ ref('int_tenants__settings') }}
),

members_per_tier as (
    select
        tenant_id,
        coalesce(tier, 'none') as tier,
        count(*) as member_count,
        sum(points_balance) as points_outstanding,
        sum(points_debt) as points_debt
    from accounts
    group by tenant_id, coalesce(tier, 'none')
),

members_per_tenant as (
    select
        tenant_id,
        cast(sum(member_count) as bigint) as member_count,
        sum(points_outstanding) as points_outstanding,
        sum(points_debt) as points_debt,
        {{ json_object_agg('tier', 'member_count') }} as members_per_tier
    from members_per_tier
    group by tenant_id
),

redemptions_per_tenant as (
    select
        tenant_id,
        count(*) as redemption_count,
        sum(points) as points_redeemed
    from redemptions
    where
        status <> 'refused'
        and {{ add_days('decided_at', 30) }} > {{ as_of() }}
    group by tenant_id
),

referrals_per_tenant as (
    select
        tenant_id,
        count(*) as referral_count,
        count(*) filter (where status = 'pending') as pending_count,
        count(*) filter (where status = 'converted') as converted_count,
        sum(revenue_amount) as revenue_amount
    from referrals
    group by tenant_id
),

leaders_per_tenant as (
    select
        tenant_id,
        {{ json_object_agg('place', 'customer_id') }} as top_referrers
    from leaders
    group by tenant_id
),

final as (
    select
        tenant_settings.tenant_id,
        coalesce(members_per_tenant.member_count, 0) as member_count,
        cast(coalesce(members_per_tenant.points_outstanding, 0) as bigint) as points_outstanding,
        cast(coalesce(members_per_tenant.points_debt, 0) as bigint) as points_debt,
        coalesce(members_per_tenant.members_per_tier, {{ json_object({}) }}) as members_per_tier,
        coalesce(redemptions_per_tenant.redemption_count, 0) as redemptions_30_days,
        cast(coalesce(redemptions_per_tenant.points_redeemed, 0) as bigint)
            as points_redeemed_30_days,
        coalesce(referrals_per_tenant.referral_count, 0) as referral_count,
        coalesce(referrals_per_tenant.pending_count, 0) as referrals_pending_count,
        coalesce(referrals_per_tenant.converted_count, 0) as referrals_converted_count,
        cast(coalesce(referrals_per_tenant.revenue_amount, 0) as numeric(14, 2))
            as referral_revenue_amount,
        coalesce(leaders_per_tenant.top_referrers, {{ json_object({}) }}) as top_referrers,
        tenant_settings.currency
    from tenant_settings
    left join members_per_tenant on tenant_settings.tenant_id = members_per_tenant.tenant_id
    left join redemptions_per_tenant
        on tenant_settings.tenant_id = redemptions_per_tenant.tenant_id
    left join referrals_per_tenant on tenant_settings.tenant_id = referrals_per_tenant.tenant_id
    left join leaders_per_tenant on tenant_settings.tenant_id = leaders_per_tenant.tenant_id
)

select * from final
