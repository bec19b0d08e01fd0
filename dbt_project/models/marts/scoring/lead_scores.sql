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

-- Nobody without an order has a recency, so the least points are the fallback, not a threshold.
points_per_customer as (
    select
        customer_metrics.tenant_id,
        customer_metrics.customer_id,
        customer_metrics.days_since_purchase,
        customer_metrics.total_orders,
        customer_metrics.lifetime_value,
        coalesce(recency.points, 1) as recency_score,
        coalesce(frequency.points, 1) as frequency_score,
        coalesce(monetary.points, 1) as monetary_score
    from customer_metrics
    {%- for dimension, metric in {
        'recency': 'days_since_purchase',
        'frequency': 'total_orders',
        'monetary': 'lifetime_value'
    }.items() %}
    left join rfm_thresholds as {{ dimension }}
        on
            customer_metrics.tenant_id = {{ dimension }}.tenant_id
            and {{ dimension }}.dimension = '{{ dimension }}'
            and customer_metrics.{{ metric }} is not null
            and ({{ dimension }}.min_value is null
                or customer_metrics.{{ metric }} >= {{ dimension }}.min_value)
            and ({{ dimension }}.max_value is null
                or customer_metrics.{{ metric }} < {{ dimension }}.max_value)
    {%- endfor %}
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
