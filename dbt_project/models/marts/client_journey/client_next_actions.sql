{{ config(
    unique_key=['tenant_id', 'client_id'],
    meta={'within': 'int_customers__touched'},
    indexes=[{'columns': ['tenant_id', 'customer_id']}],
) }}

with advice as (
    select * from {{ ref('int_client_journey__advice') }}
),

final as (
    select
        tenant_id,
        client_id,
        customer_id,
        next_best_action,
        priority,
        reason,
        advised_at,
        recommended_actions,
        risk_level,
        risk_factors
    from advice
)

select * from final
