{{ config(
    unique_key=['tenant_id', 'tier'],
    indexes=[{'columns': ['tenant_id', 'tier_order'], 'unique': true}],
) }}

with tenants as (
    select * from {{ ref('tenants') }}
),

loyalty_tiers as (
    select * from {{ ref('loyalty_tiers') }}
),

-- A tenant with any tier of its own uses only its own tiers.
tiers_per_tenant as (
    select
        tenants.tenant_id,
        loyalty_tiers.tier_id as tier,
        loyalty_tiers.tier_name,
        loyalty_tiers.tier_order,
        loyalty_tiers.min_points,
        loyalty_tiers.min_lifetime_value,
        loyalty_tiers.min_orders,
        loyalty_tiers.points_multiplier,
        loyalty_tiers.tenant_id <> '*' as is_own,
        bool_or(loyalty_tiers.tenant_id <> '*') over (partition by tenants.tenant_id) as has_own
    from tenants
    inner join loyalty_tiers on loyalty_tiers.tenant_id in (tenants.tenant_id, '*')
),

final as (
    select
        tenant_id,
        tier,
        tier_name,
        tier_order,
        min_points,
        min_lifetime_value,
        min_orders,
        points_multiplier
    from tiers_per_tenant
    where is_own = has_own
)

select * from final
