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

rfm_thresholds as (
    select * from {{ ref('int_scoring__rfm_thresholds') }}
),

lead_bands as (
    select * from {{ ref('int_scoring__lead_bands') }}
),

tenant_settings as (
    select * from {{ ref('int_tenants__settings') }}
),

-- Without an order there are no days to measure: that is worth the least points.
points_per_customer as (
    select
        customer_metrics.tenant_id,
        customer_metrics.customer_id,
        customer_metrics.days_since_purchase,
        customer_metrics.total_orders,
        customer_metrics.lifetime_value,
        case when customer_metrics.days_since_purchase is null then 1 else recency.points end
            as recency_score,
        frequency.points as frequency_score,
        monetary.points as monetary_score
    from customer_metrics
    left join rfm_thresholds as recency
        on
            customer_metrics.tenant_id = recency.tenant_id
            and recency.dimension = 'recency'
            and (
                recency.min_value is null
                or customer_metrics.days_since_purchase >= recency.min_value
            )
            and (
                recency.max_value is null
                or customer_metrics.days_since_purchase < recency.max_value
            )
    left join rfm_thresholds as frequency
        on
            customer_metrics.tenant_id = frequency.tenant_id
            and frequency.dimension = 'frequency'
            and (
                frequency.min_value is null
                or customer_metrics.total_orders >= frequency.min_value
            )
            and (
                frequency.max_value is null
                or customer_metrics.total_orders < frequency.max_value
            )
    left join rfm_thresholds as monetary
        on
            customer_metrics.tenant_id = monetary.tenant_id
            and monetary.dimension = 'monetary'
            and (
                monetary.min_value is null
                or customer_metrics.lifetime_value >= monetary.min_value
            )
            and (
                monetary.max_value is null
                or customer_metrics.lifetime_value < monetary.max_value
            )
),

scores_per_customer as (
    select
        points_per_customer.tenant_id,
        points_per_customer.customer_id,
        points_per_customer.recency_score,
        points_per_customer.frequency_score,
        points_per_customer.monetary_score,
        points_per_customer.days_since_purchase,
        points_per_customer.total_orders,
        points_per_customer.lifetime_value,
        tenant_settings.currency,
        cast(
            tenant_settings.recency_weight * points_per_customer.recency_score
            + tenant_settings.frequency_weight * points_per_customer.frequency_score
            + tenant_settings.monetary_weight * points_per_customer.monetary_score
            as integer
        ) as lead_score
    from points_per_customer
    left join tenant_settings on points_per_customer.tenant_id = tenant_settings.tenant_id
),

final as (
    select
        scores_per_customer.tenant_id,
        scores_per_customer.customer_id,
        scores_per_customer.recency_score,
        scores_per_customer.frequency_score,
        scores_per_customer.monetary_score,
        scores_per_customer.lead_score,
        lead_bands.lead_band,
        scores_per_customer.days_since_purchase,
        scores_per_customer.total_orders,
        scores_per_customer.lifetime_value,
        scores_per_customer.currency,
        {{ as_of() }} as scored_at
    from scores_per_customer
    left join lead_bands
        on
            scores_per_customer.tenant_id = lead_bands.tenant_id
            and scores_per_customer.lead_score between lead_bands.min_score and lead_bands.max_score
)

select * from final
