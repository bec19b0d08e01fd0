{{ config(
    unique_key=['tenant_id', 'customer_id'],
    indexes=[{'columns': ['tenant_id', 'place'], 'unique': true}],
) }}

with referrals as (
    select * from {{ ref('referrals') }}
    where status in ('pending', 'converted')
),

tenant_settings as (
    select * from {{ ref('int_tenants__settings') }}
),

referrals_per_member as (
    select
        tenant_id,
        customer_id,
        count(*) as referral_count,
        count(*) filter (where status = 'pending') as pending_count,
        count(*) filter (where status = 'converted') as converted_count,
        cast(sum(revenue_amount) as numeric(14, 2)) as revenue_amount,
        cast(sum(points_earned) as bigint) as points_earned
    from referrals
    group by tenant_id, customer_id
),

final as (
    select
        referrals_per_member.tenant_id,
        referrals_per_member.customer_id,
        row_number() over (
            partition by referrals_per_member.tenant_id
            order by
                referrals_per_member.converted_count desc,
                referrals_per_member.revenue_amount desc,
                referrals_per_member.referral_count desc,
                referrals_per_member.customer_id
        ) as place,
        referrals_per_member.referral_count,
        referrals_per_member.pending_count,
        referrals_per_member.converted_count,
        referrals_per_member.revenue_amount,
        referrals_per_member.points_earned,
        tenant_settings.currency
    from referrals_per_member
    inner join tenant_settings on referrals_per_member.tenant_id = tenant_settings.tenant_id
)

select * from final
