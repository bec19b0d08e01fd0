{#- The orders of the dashboard's list, with what it filters by: one index has the whole answer. -#}
{%- set filters = ['stage', 'lead_band', 'loyalty_tier', 'primary_collection'] -%}
{{ config(
    unique_key=['tenant_id', 'customer_id'],
    meta={'within': 'int_customers__touched'},
    indexes=[
        {'columns': ['tenant_id', 'lifetime_value', 'customer_id'] + filters},
        {'columns': ['tenant_id', 'lead_score', 'customer_id'] + filters},
        {'columns': ['tenant_id', 'total_orders', 'customer_id'] + filters},
        {'columns': ['tenant_id', 'first_seen_at', 'customer_id'] + filters},
        {'columns': ['tenant_id', 'email']},
    ],
) }}

with metrics as (
    select * from {{ ref('int_customers__metrics') }}
),

contact_points as (
    select * from {{ ref('int_customers__contact_points') }}
),

stage_milestones as (
    select * from {{ ref('int_lifecycle__milestones') }}
),

present_scores as (
    select * from {{ ref('int_scoring__history') }}
    where valid_to is null
),

collection_affinity as (
    select * from {{ ref('int_scoring__affinity') }}
),

loyalty_accounts as (
    select * from {{ ref('loyalty_accounts') }}
),

tenants as (
    select * from {{ ref('int_tenants__settings') }}
),

contacts as (
    select * from {{ ref('int_customers__identifiers') }}
    where identifier_type = 'contact'
),

-- Only a rule of somebody's hand brings two contacts together.
clients_per_customer as (
    select
        tenant_id,
        customer_id,
        min(identifier) as client_id
    from contacts
    group by tenant_id, customer_id
),

affinity_per_customer as (
    select
        tenant_id,
        customer_id,
        max(collection) filter (where is_primary) as primary_collection,
        {{ json_object_agg('collection', 'score') }} as collection_scores
    from collection_affinity
    group by tenant_id, customer_id
),

final as (
    select
        metrics.tenant_id,
        metrics.customer_id,
        contact_points.email,
        contact_points.phone,
        contact_points.first_name,
        contact_points.last_name,
        clients_per_customer.client_id,
        stage_milestones.stage,
        stage_milestones.stage_since,
        present_scores.lead_score,
        present_scores.lead_band,
        affinity_per_customer.primary_collection,
        affinity_per_customer.collection_scores,
        metrics.total_orders,
        metrics.lifetime_value,
        metrics.average_order_value,
        tenants.currency,
        metrics.purchase_frequency_days,
        metrics.first_purchase_at,
        metrics.last_purchase_at,
        metrics.last_email_open_at,
        metrics.last_email_click_at,
        metrics.last_site_visit_at,
        metrics.last_engaged_at,
        metrics.became_lead_at,
        stage_milestones.became_customer_at,
        stage_milestones.became_repeat_at,
        stage_milestones.became_vip_at,
        stage_milestones.became_at_risk_at,
        stage_milestones.became_churned_at,
        contact_points.email_subscribed,
        contact_points.sms_subscribed,
        contact_points.is_email_suppressed,
        contact_points.is_erased,
        loyalty_accounts.tier as loyalty_tier,
        metrics.first_seen_at
    from metrics
    -- every customer has contact points, a stage, a score and a tenant
    inner join contact_points
        on
            metrics.tenant_id = contact_points.tenant_id
            and metrics.customer_id = contact_points.customer_id
    inner join present_scores
        on
            metrics.tenant_id = present_scores.tenant_id
            and metrics.customer_id = present_scores.customer_id
    inner join tenants on metrics.tenant_id = tenants.tenant_id
    inner join stage_milestones
        on
            metrics.tenant_id = stage_milestones.tenant_id
            and metrics.customer_id = stage_milestones.customer_id
    left join affinity_per_customer
        on
            metrics.tenant_id = affinity_per_customer.tenant_id
            and metrics.customer_id = affinity_per_customer.customer_id
    left join clients_per_customer
        on
            metrics.tenant_id = clients_per_customer.tenant_id
            and metrics.customer_id = clients_per_customer.customer_id
    left join loyalty_accounts
        on
            metrics.tenant_id = loyalty_accounts.tenant_id
            and metrics.customer_id = loyalty_accounts.customer_id
)

select * from final
