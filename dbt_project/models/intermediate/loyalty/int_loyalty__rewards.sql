{{ config(unique_key=['tenant_id', 'reward_id']) }}

with tenants as (
    select * from {{ ref('tenants') }}
),

rewards as (
    select * from {{ ref('rewards') }}
),

-- A tenant with any reward of its own offers only its own rewards.
rewards_per_tenant as (
    select
        tenants.tenant_id,
        rewards.reward_id,
        rewards.reward_name,
        rewards.points_cost,
        rewards.reward_type,
        rewards.reward_value,
        rewards.product_id,
        rewards.min_tier,
        rewards.min_orders,
        rewards.redemption_limit,
        rewards.total_available,
        rewards.is_active,
        rewards.starts_at,
        rewards.ends_at,
        rewards.tenant_id <> '*' as is_own,
        bool_or(rewards.tenant_id <> '*') over (partition by tenants.tenant_id) as has_own
    from tenants
    inner join rewards on rewards.tenant_id in (tenants.tenant_id, '*')
),

final as (
    select
        tenant_id,
        reward_id,
        reward_name,
        points_cost,
        reward_type,
        reward_value,
        product_id,
        min_tier,
        min_orders,
        redemption_limit,
        total_available,
        is_active,
        starts_at,
        ends_at
    from rewards_per_tenant
    where is_own = has_own
)

select * from final
