-- The stage at every instant. Churned is the only stage that remembers the one before: a stretch
-- without engagement longer than the threshold is churned once the customer stood in a stage that
-- churns just before it or during it, and stays so until the stretch ends.
with facts as (
    select * from {{ ref('int_lifecycle__facts') }}
),

settings as (
    select * from {{ ref('int_tenants__settings') }}
),

base_stages as (
    select
        facts.tenant_id,
        facts.customer_id,
        facts.happened_at,
        facts.trigger_type,
        facts.trigger_reference_id,
        facts.run_number,
        facts.days_since_engagement > settings.churned_days as is_idle,
        case
            when facts.order_count = 0 and not facts.is_lead then 'visitor'
            when
                facts.order_count = 0
                and facts.days_since_engagement > settings.lead_at_risk_days
                then 'at_risk'
            when facts.order_count = 0 and facts.is_followed_up then 'prospect'
            when facts.order_count = 0 then 'lead'
            when
                facts.order_count = 1
                and facts.days_since_purchase > settings.customer_at_risk_days
                then 'at_risk'
            when facts.order_count = 1 then 'customer'
            when
                facts.lifetime_value >= settings.vip_lifetime_value_amount
                and settings.vip_lapse_days is not null
                and facts.days_since_purchase > settings.vip_lapse_days
                then 'at_risk'
            when facts.lifetime_value >= settings.vip_lifetime_value_amount then 'vip'
            when facts.days_since_purchase > settings.repeat_at_risk_days then 'at_risk'
            else 'repeat'
        end as base_stage
    from facts
    -- every tenant has its settings
    inner join settings on facts.tenant_id = settings.tenant_id
),

with_next as (
    select
        base_stages.*,
        lead(is_idle) over (
            partition by tenant_id, customer_id, run_number order by happened_at
        ) as is_next_idle
    from base_stages
),

with_memory as (
    select
        with_next.*,
        bool_or(
            base_stage in ('at_risk', 'customer', 'repeat')
            and (is_idle or coalesce(is_next_idle, false))
        ) over (
            partition by tenant_id, customer_id, run_number order by happened_at
        ) as is_churning
    from with_next
),

final as (
    select
        tenant_id,
        customer_id,
        happened_at,
        trigger_type,
        trigger_reference_id,
        case when is_idle and is_churning then 'churned' else base_stage end as stage
    from with_memory
)

select * from final
