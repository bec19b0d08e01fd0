{{ config(unique_key=['tenant_id', 'client_id', 'valid_from']) }}

{% set risk_factors = [
    'low_engagement',
    'late_invoices',
    'negative_sentiment',
    'slow_project_progress',
    'low_feature_usage',
    'high_support_tickets',
] -%}
with spans as (
    select * from {{ ref('int_client_journey__spans') }}
),

clients as (
    select * from {{ ref('int_client_journey__clients') }}
),

triggers as (
    select * from {{ ref('int_client_journey__triggers') }}
),

stages as (
    select * from {{ ref('int_client_journey__stages') }}
),

risk_levels as (
    select * from {{ ref('int_client_journey__risk_levels') }}
),

settings as (
    select * from {{ ref('int_client_journey__settings') }}
),

triggers_per_span as (
    select
        tenant_id,
        client_id,
        valid_from,
        count(*) filter (where trigger_type = 'risk') as risk_count,
        {{ ordered_text_list(
            "case when trigger_type = 'risk' then trigger end", 'risk_order, trigger'
        ) }} as risk_factors,
        {{ ordered_text_list('case when is_recommended then action end', 'place') }}
            as recommended_actions,
        max(action) filter (where place = 1) as next_best_action,
        max(reason) filter (where place = 1) as reason
    from triggers
    group by tenant_id, client_id, valid_from
),

final as (
    select
        spans.tenant_id,
        spans.customer_id,
        spans.client_id,
        spans.valid_from,
        spans.valid_to,
        spans.stage,
        {% for risk_factor in risk_factors %}
            spans.has_{{ risk_factor }},
        {% endfor %}
        triggers_per_span.risk_count,
        triggers_per_span.risk_factors,
        clients.ai_score,
        stages.score_weight as stage_weight,
        cast(
            greatest(
                0,
                coalesce(clients.ai_score, settings.default_score)
                + stages.score_weight
                - settings.score_per_risk * triggers_per_span.risk_count
            ) as numeric(14, 2)
        ) as score,
        risk_levels.risk_level,
        risk_levels.priority,
        risk_levels.is_high_risk,
        triggers_per_span.recommended_actions,
        triggers_per_span.next_best_action,
        triggers_per_span.reason
    from spans
    inner join clients
        on
            spans.tenant_id = clients.tenant_id
            and spans.client_id = clients.client_id
    -- every span has a stage, so it has a trigger
    inner join triggers_per_span
        on
            spans.tenant_id = triggers_per_span.tenant_id
            and spans.client_id = triggers_per_span.client_id
            and spans.valid_from = triggers_per_span.valid_from
    inner join stages
        on
            spans.tenant_id = stages.tenant_id
            and spans.stage = stages.stage
    inner join settings on spans.tenant_id = settings.tenant_id
    -- every number of risks has a level; the check of the seeds holds that
    inner join risk_levels
        on
            spans.tenant_id = risk_levels.tenant_id
            and triggers_per_span.risk_count >= risk_levels.min_risks
            and (
                risk_levels.next_min_risks is null
                or triggers_per_span.risk_count < risk_levels.next_min_risks
            )
)

select * from final
