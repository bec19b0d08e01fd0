{{ config(unique_key=['tenant_id', 'campaign_id', 'stage', 'reason']) }}

with eligibility as (
    select * from {{ ref('winback_eligibility') }}
    where not is_eligible
),

final as (
    select
        tenant_id,
        campaign_id,
        stage,
        reason,
        count(*) as customers
    from eligibility
    group by tenant_id, campaign_id, stage, reason
)

select * from final
