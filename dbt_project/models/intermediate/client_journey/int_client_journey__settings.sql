{{ config(unique_key=['tenant_id']) }}

{% set numbers = [
    ('low_engagement', 'event_count'),
    ('low_engagement', 'window_days'),
    ('negative_sentiment', 'event_count'),
    ('negative_sentiment', 'window_events'),
    ('slow_project_progress', 'window_days'),
    ('low_feature_usage', 'event_count'),
    ('low_feature_usage', 'window_days'),
    ('high_support_tickets', 'event_count'),
    ('high_support_tickets', 'window_days'),
] -%}
with risk_factors as (
    select * from {{ ref('int_client_journey__risk_factors') }}
),

stages as (
    select * from {{ ref('int_client_journey__stages') }}
    where stage = 'onboarding'
),

tenants as (
    select * from {{ ref('int_tenants__settings') }}
),

final as (
    select
        tenants.tenant_id,
        {% for risk_factor, column in numbers %}
            max(risk_factors.{{ column }})
            filter (where risk_factors.risk_factor = '{{ risk_factor }}')
                as {{ risk_factor }}_{{ column }},
        {% endfor %}
        max(stages.stage_order) as onboarding_order,
        max(tenants.client_default_score) as default_score,
        max(tenants.client_score_per_risk) as score_per_risk
    from tenants
    inner join risk_factors on tenants.tenant_id = risk_factors.tenant_id
    inner join stages on tenants.tenant_id = stages.tenant_id
    group by tenants.tenant_id
)

select * from final
