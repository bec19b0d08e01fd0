{{ config(unique_key=['tenant_id', 'risk_factor']) }}

with risk_factors as (
    {{ tenant_rows('client_risk_factors', per=['risk_factor']) }}
),

final as (
    select
        for_tenant_id as tenant_id,
        risk_factor,
        risk_order,
        event_count,
        window_days,
        window_events
    from risk_factors
    where is_own = has_own
)

select * from final
