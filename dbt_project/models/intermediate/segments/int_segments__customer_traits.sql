with customer_metrics as (
    select * from {{ ref('int_customers__metrics') }}
),

contact_points as (
    select * from {{ ref('int_customers__contact_points') }}
),

customer_stages as (
    select * from {{ ref('customer_stages') }}
),

lead_scores as (
    select * from {{ ref('lead_scores') }}
),

collection_affinity as (
    select * from {{ ref('collection_affinity') }}
),

primary_collections as (
    select
        tenant_id,
        customer_id,
        collection
    from collection_affinity
    where is_primary
),

final as (
    select
        customer_metrics.tenant_id,
        customer_metrics.customer_id,
        customer_stages.stage,
        customer_stages.stage_since,
        primary_collections.collection as primary_collection,
        lead_scores.lead_band,
        customer_metrics.total_orders,
        customer_metrics.lifetime_value,
        customer_metrics.days_since_purchase,
        contact_points.email is not null as has_email,
        coalesce(contact_points.email_subscribed, false) as is_email_subscribed,
        coalesce(contact_points.is_email_suppressed, false) as is_email_suppressed,
        {{ days_between(
            'coalesce('
            ~ 'greatest(customer_metrics.last_purchase_at, customer_metrics.last_email_click_at), '
            ~ 'customer_metrics.first_seen_at)',
            as_of()
        ) }} as days_inactive
    from customer_metrics
    left join contact_points
        on
            customer_metrics.tenant_id = contact_points.tenant_id
            and customer_metrics.customer_id = contact_points.customer_id
    left join customer_stages
        on
            customer_metrics.tenant_id = customer_stages.tenant_id
            and customer_metrics.customer_id = customer_stages.customer_id
    left join lead_scores
        on
            customer_metrics.tenant_id = lead_scores.tenant_id
            and customer_metrics.customer_id = lead_scores.customer_id
    left join primary_collections
        on
            customer_metrics.tenant_id = primary_collections.tenant_id
            and customer_metrics.customer_id = primary_collections.customer_id
)

select * from final
