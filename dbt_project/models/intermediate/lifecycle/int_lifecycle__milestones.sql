{{ config(unique_key=['tenant_id', 'customer_id']) }}

-- Reaching a stage for good counts the first time; falling at risk and churning count the latest.
with transitions as (
    select * from {{ ref('int_lifecycle__transitions') }}
),

ranked as (
    select
        transitions.*,
        row_number() over (
            partition by customer_id, tenant_id order by transitioned_at desc
        ) as recency
    from transitions
),

final as (
    select
        tenant_id,
        customer_id,
        max(to_stage) filter (where recency = 1) as stage,
        max(transitioned_at) as stage_since,
        min(transitioned_at) filter (where to_stage = 'customer') as became_customer_at,
        min(transitioned_at) filter (where to_stage = 'repeat') as became_repeat_at,
        min(transitioned_at) filter (where to_stage = 'vip') as became_vip_at,
        max(transitioned_at) filter (where to_stage = 'at_risk') as became_at_risk_at,
        max(transitioned_at) filter (where to_stage = 'churned') as became_churned_at
    from ranked
    group by tenant_id, customer_id
)

select * from final
