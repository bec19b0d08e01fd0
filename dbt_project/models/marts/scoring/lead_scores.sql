{{ config(
    unique_key=['tenant_id', 'customer_id'],
    indexes=[
        {'columns': ['tenant_id', 'customer_id'], 'unique': true},
        {'columns': ['tenant_id', 'lead_band', 'lead_score']},
    ],
) }}

with customer_metrics as (
    select * from {{ ref('int_customers__metrics') }}
),

present_scores as (
    select * from {{ ref('lead_score_history') }}
    where valid_to is null
),

tenant_settings as (
    select * from {{ ref('int_tenants__settings') }}
),

final as (
    select
        customer_metrics.tenant_id,
        customer_metrics.customer_id,
        present_scores.recency_score,
        present_scores.frequency_score,
        present_scores.monetary_score,
        present_scores.lead_score,
        present_scores.lead_band,
        customer_metrics.days_since_purchase,
        customer_metrics.total_orders,
        customer_metrics.lifetime_value,
        tenant_settings.currency,
        present_scores.valid_from as scored_at
    from customer_metrics
    -- every customer has a present score and a tenant
    inner join present_scores
        on
            customer_metrics.tenant_id = present_scores.tenant_id
            and customer_metrics.customer_id = present_scores.customer_id
    inner join tenant_settings on customer_metrics.tenant_id = tenant_settings.tenant_id
)

select * from final
