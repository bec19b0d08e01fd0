{{ config(unique_key=['message_id', 'tenant_id']) }}

-- Everything that is or will be worth telling a member, with the time in which it is. What is no
-- longer worth it will never be again.
with movements as (
    select * from {{ ref('int_loyalty__movements') }}
),

tier_steps as (
    select * from {{ ref('int_loyalty__tier_steps') }}
),

tiers as (
    select * from {{ ref('int_loyalty__tiers') }}
),

redemptions as (
    select * from {{ ref('int_loyalty__redemptions') }}
    where {{ is_touched('int_loyalty__redemptions') }}
),

rewards as (
    select * from {{ ref('int_loyalty__rewards') }}
),

open_lots as (
    select * from {{ ref('int_loyalty__lots') }}
    where remaining_points > 0
),

tenant_settings as (
    select * from {{ ref('int_tenants__settings') }}
),

points_earned as (
    select
        movements.tenant_id,
        movements.customer_id,
        'points_earned' as purpose,
        'Loyalty: points earned' as metric,
        movements.movement_id as subject,
        movements.occurred_at as not_before,
        {{ add_days('movements.occurred_at', 'tenant_settings.loyalty_message_days') }}
            as expires_at,
        {{ json_object({
            'points': 'movements.points',
            'points_balance': 'movements.balance_after',
            'movement_type': 'movements.movement_type',
            'reference_id': 'movements.reference_id',
            'points_expire_at': timestamp_text('movements.expires_at'),
        }) }} as properties
    from movements
    inner join tenant_settings on movements.tenant_id = tenant_settings.tenant_id
    where
        movements.movement_type like 'earn%'
        and movements.points > 0
),

-- The tier that is open to all is no news, nor is coming back to a tier: the first time counts.
first_climbs as (
    select
        tenant_id,
        customer_id,
        tier,
        min(occurred_at) as reached_at
    from tier_steps
    where
        tier_order > previous_tier_order
        or (tier_order is not null and previous_tier_order is null)
    group by tenant_id, customer_id, tier
),

tiers_reached as (
    select
        first_climbs.tenant_id,
        first_climbs.customer_id,
        'tier_reached' as purpose,
        'Loyalty: tier reached' as metric,
        first_climbs.customer_id || ':' || first_climbs.tier as subject,
        first_climbs.reached_at as not_before,
        {{ add_days('first_climbs.reached_at', 'tenant_settings.loyalty_message_days') }}
            as expires_at,
        {{ json_object({
            'tier': 'first_climbs.tier',
            'tier_name': 'tiers.tier_name',
            'points_multiplier': 'tiers.points_multiplier',
        }) }} as properties
    from first_climbs
    inner join tenant_settings on first_climbs.tenant_id = tenant_settings.tenant_id
    inner join tiers
        on
            first_climbs.tenant_id = tiers.tenant_id
            and first_climbs.tier = tiers.tier
),

points_expiring as (
    select
        open_lots.tenant_id,
        open_lots.customer_id,
        'points_expiring' as purpose,
        'Loyalty: points expiring' as metric,
        open_lots.customer_id || ':' || {{ timestamp_text('open_lots.expires_at') }} as subject,
        {{ add_days(
            'open_lots.expires_at', '-min(tenant_settings.points_expiring_notice_days)'
        ) }} as not_before,
        open_lots.expires_at,
        {{ json_object({
            'points': 'sum(open_lots.remaining_points)',
            'points_expire_at': timestamp_text('open_lots.expires_at'),
        }) }} as properties
    from open_lots
    inner join tenant_settings on open_lots.tenant_id = tenant_settings.tenant_id
    group by open_lots.tenant_id, open_lots.customer_id, open_lots.expires_at
),

-- A code that was used is no news.
reward_codes as (
    select
        redemptions.tenant_id,
        redemptions.customer_id,
        'reward_code' as purpose,
        'Loyalty: reward code' as metric,
        redemptions.request_id as subject,
        redemptions.decided_at as not_before,
        redemptions.expires_at,
        {{ json_object({
            'reward_id': 'redemptions.reward_id',
            'reward_name': 'rewards.reward_name',
            'reward_type': 'rewards.reward_type',
            'reward_value': 'rewards.reward_value',
            'points': 'redemptions.points',
            'code': 'redemptions.code',
            'code_expires_at': timestamp_text('redemptions.expires_at'),
        }) }} as properties
    from redemptions
    left join rewards
        on
            redemptions.tenant_id = rewards.tenant_id
            and redemptions.reward_id = rewards.reward_id
    where redemptions.used_at is null
),

final as (
    {%- for kind in ['points_earned', 'tiers_reached', 'points_expiring', 'reward_codes'] %}
        select
            tenant_id,
            customer_id,
            purpose,
            metric,
            {{ hash_id(['tenant_id', 'purpose', 'subject']) }} as message_id,
            not_before,
            expires_at,
            properties
        from {{ kind }}
        where expires_at > {{ as_of() }}
        {%- if not loop.last %}

            union all
        {% endif %}
    {%- endfor %}
)

select * from final
