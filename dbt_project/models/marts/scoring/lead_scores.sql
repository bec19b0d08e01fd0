{{ config(
    unique_key=['tenant_id', 'customer_id'],
    meta={'within': 'int_customers__aged'},
    indexes=[{'columns': ['tenant_id', 'lead_band', 'lead_score']}],
) }}

-- depends_on: {{ ref('int_customers__aged') }}
with customers as (
    select * from {{ ref('customers') }}
    where {{ is_touched('customers', 'int_customers__aged') }}
),

present_scores as (
    select * from {{ ref('lead_score_history') }}
    where valid_to is null
),

final as (
    select
        customers.tenant_id,
        customers.customer_id,
        present_scores.recency_score,
        present_scores.frequency_score,
        present_scores.monetary_score,
        present_scores.lead_score,
        present_scores.lead_band,
        {{ days_between('customers.last_purchase_at', as_of()) }} as days_since_purchase,
        customers.total_orders,
        customers.lifetime_value,
        customers.currency,
        present_scores.valid_from as scored_at
    from customers
    -- every customer has a present score
    inner join present_scores
        on
            customers.tenant_id = present_scores.tenant_id
            and customers.customer_id = present_scores.customer_id
)

select * from final
