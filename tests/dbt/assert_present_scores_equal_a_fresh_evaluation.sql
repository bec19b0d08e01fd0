-- A returned row is a customer whose replayed score differs from the thresholds read afresh against
-- what the customer has bought as of the build, and a part that differs.
with lead_scores as (
    select * from {{ ref('lead_scores') }}
),

rfm_thresholds as (
    select * from {{ ref('int_scoring__rfm_thresholds') }}
),

measures as (
    select
        tenant_id,
        customer_id,
        'recency' as dimension,
        cast(days_since_purchase as numeric) as measure,
        recency_score as points
    from lead_scores

    union all

    select
        tenant_id,
        customer_id,
        'frequency' as dimension,
        cast(total_orders as numeric) as measure,
        frequency_score as points
    from lead_scores

    union all

    select
        tenant_id,
        customer_id,
        'monetary' as dimension,
        lifetime_value as measure,
        monetary_score as points
    from lead_scores
)

select
    measures.tenant_id,
    measures.customer_id,
    measures.dimension,
    measures.measure,
    measures.points,
    rfm_thresholds.points as fresh_points
from measures
left join rfm_thresholds
    on
        measures.tenant_id = rfm_thresholds.tenant_id
        and measures.dimension = rfm_thresholds.dimension
        and case
            when measures.measure is null then rfm_thresholds.max_value is null
            else
                measures.measure >= coalesce(rfm_thresholds.min_value, measures.measure)
                and (
                    rfm_thresholds.max_value is null
                    or measures.measure < rfm_thresholds.max_value
                )
        end
where measures.points is distinct from rfm_thresholds.points
