{{ config(
    unique_key=['tenant_id', 'customer_id', 'valid_from'],
    meta={'within': 'int_customers__touched'},
) }}

with history as (
    select * from {{ ref('int_scoring__history') }}
),

final as (
    select
        tenant_id,
        customer_id,
        recency_score,
        frequency_score,
        monetary_score,
        lead_score,
        lead_band,
        valid_from,
        valid_to
    from history
)

select * from final
