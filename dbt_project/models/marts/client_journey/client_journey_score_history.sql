{{ config(
    unique_key=['tenant_id', 'client_id', 'valid_from'],
    meta={'within': 'int_customers__touched'},
    indexes=[{'columns': ['tenant_id', 'customer_id']}],
) }}

with scores as (
    select * from {{ ref('int_client_journey__scores') }}
),

final as (
    select
        tenant_id,
        client_id,
        customer_id,
        stage,
        risk_count,
        risk_factors,
        score,
        risk_level,
        next_best_action,
        valid_from,
        valid_to
    from scores
)

select * from final
