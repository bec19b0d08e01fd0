{{ config(
    unique_key=['tenant_id', 'client_id'],
    meta={'within': 'int_customers__touched'},
    indexes=[
        {'columns': ['tenant_id', 'customer_id']},
        {'columns': ['tenant_id', 'risk_count desc', 'score', 'client_id']},
    ],
) }}

with scores as (
    select * from {{ ref('int_client_journey__scores') }}
    where valid_to is null
),

final as (
    select
        tenant_id,
        client_id,
        customer_id,
        stage,
        has_low_engagement,
        has_late_invoices,
        has_negative_sentiment,
        has_slow_project_progress,
        has_low_feature_usage,
        has_high_support_tickets,
        risk_count,
        risk_factors,
        ai_score,
        stage_weight,
        score,
        risk_level,
        recommended_actions,
        next_best_action,
        priority,
        valid_from as scored_at
    from scores
)

select * from final
