-- Reaching a stage for good counts the first time; falling at risk and churning count the latest.
with transitions as (
    select * from {{ ref('stage_transitions') }}
),

final as (
    select
        tenant_id,
        customer_id,
        min(transitioned_at) filter (where to_stage = 'customer') as became_customer_at,
        min(transitioned_at) filter (where to_stage = 'repeat') as became_repeat_at,
        min(transitioned_at) filter (where to_stage = 'vip') as became_vip_at,
        max(transitioned_at) filter (where to_stage = 'at_risk') as became_at_risk_at,
        max(transitioned_at) filter (where to_stage = 'churned') as became_churned_at
    from transitions
    group by tenant_id, customer_id
)

select * from final
