{{ config(post_hook='analyze {{ this }}') }}

with tier_steps as (
    select * from {{ ref('int_loyalty__tier_steps') }}
),

tenant_settings as (
    select * from {{ ref('int_tenants__settings') }}
),

-- Everything that gives points opens a lot; points that come back from an unused reward do not, for
-- they return to the lots they came from.
opened_lots as (
    select
        tier_steps.tenant_id,
        tier_steps.customer_id,
        tier_steps.event_number,
        tier_steps.event_type,
        tier_steps.source_id,
        tier_steps.points,
        tier_steps.occurred_at as opened_at,
        {{ tenant_date('tier_steps.occurred_at', 'tenant_settings.time_zone') }} as opened_on,
        tenant_settings.time_zone,
        cast(tenant_settings.points_expiry_months as integer) as points_expiry_months
    from tier_steps
    inner join tenant_settings on tier_steps.tenant_id = tenant_settings.tenant_id
    where
        tier_steps.points > 0
        and not {{ is_redemption('tier_steps.event_type') }}
),

-- The same calendar day so many months later (29 February becomes 28), to the end of that day in
-- the tenant's zone.
final as (
    select
        tenant_id,
        customer_id,
        event_number,
        event_type,
        source_id,
        points,
        cast(
            sum(points) over (
                partition by tenant_id, customer_id
                order by event_number
                rows between unbounded preceding and current row
            ) as bigint
        ) as points_through,
        opened_at,
        {{ end_of_day(
            'cast(' ~ dbt.dateadd('month', 'points_expiry_months', 'opened_on') ~ ' as date)',
            'time_zone'
        ) }} as expires_at
    from opened_lots
)

select * from final
