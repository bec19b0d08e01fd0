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
    where
        valid_to is null
        and is_high_risk
),

clients as (
    select * from {{ ref('int_client_journey__clients') }}
),

final as (
    select
        scores.tenant_id,
        scores.client_id,
        scores.customer_id,
        clients.client_name,
        clients.email,
        scores.stage,
        scores.risk_level,
        scores.risk_count,
        scores.risk_factors,
        scores.score,
        scores.next_best_action,
        scores.priority,
        scores.valid_from as scored_at
    from scores
    inner join clients
        on
            scores.tenant_id = clients.tenant_id
            and scores.client_id = clients.client_id
)

select * from final
