{{ config(unique_key=['tenant_id', 'customer_id', 'valid_from']) }}

with scores as (
    select * from {{ ref('int_scoring__scores') }}
),

with_previous as (
    select
        scores.*,
        lag(recency_score) over replay as previous_recency_score,
        lag(frequency_score) over replay as previous_frequency_score,
        lag(monetary_score) over replay as previous_monetary_score
    from scores
    window replay as (partition by customer_id, tenant_id order by scored_at)
),

-- Score and band follow from the three.
changes as (
    select *
    from with_previous
    where
        recency_score is distinct from previous_recency_score
        or frequency_score is distinct from previous_frequency_score
        or monetary_score is distinct from previous_monetary_score
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
        scored_at as valid_from,
        lead(scored_at) over (partition by customer_id, tenant_id order by scored_at) as valid_to
    from changes
)

select * from final
