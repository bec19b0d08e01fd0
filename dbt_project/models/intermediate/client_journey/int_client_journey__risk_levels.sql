{{ config(unique_key=['tenant_id', 'risk_level']) }}

with risk_levels as (
    {{ tenant_rows('client_risk_levels') }}
),

final as (
    select
        for_tenant_id as tenant_id,
        risk_level,
        priority,
        is_high_risk,
        min_risks,
        lead(min_risks) over (partition by for_tenant_id order by min_risks) as next_min_risks
    from risk_levels
    where is_own = has_own
)

select * from final
