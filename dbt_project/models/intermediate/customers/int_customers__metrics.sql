{{ config(unique_key=['tenant_id', 'customer_id']) }}

with identifiers as (
    select * from {{ ref('int_customers__identifiers') }}
),

orders as (
    select * from {{ ref('int_orders__valued') }}
),

touchpoints as (
    select * from {{ ref('int_touchpoints__attributed') }}
),

leads as (
    select * from {{ ref('int_customers__leads') }}
),

client_events as (
    select * from {{ ref('int_customers__client_events') }}
),

seen_per_customer as (
    select
        tenant_id,
        customer_id,
        min(first_seen_at) as first_seen_at
    from identifiers
    group by tenant_id, customer_id
),

orders_per_customer as (
    select
        tenant_id,
        customer_id,
        count(*) as total_orders,
        sum(net_amount_tenant) as lifetime_value,
        min(ordered_at) as first_purchase_at,
        max(ordered_at) as last_purchase_at
    from orders
    where is_counted
    group by tenant_id, customer_id
),

-- Every purchase engages, also one that was given back later.
purchases_per_customer as (
    select
        tenant_id,
        customer_id,
        max(ordered_at) as last_bought_at
    from orders
    where was_paid
    group by tenant_id, customer_id
),

touchpoints_per_customer as (
    select
        tenant_id,
        customer_id,
        max(occurred_at) filter (where touchpoint_type = 'email_open') as last_email_open_at,
        max(occurred_at) filter (where touchpoint_type = 'email_click') as last_email_click_at,
        max(occurred_at) filter (where touchpoint_type = 'page_view') as last_site_visit_at
    from touchpoints
    group by tenant_id, customer_id
),

client_events_per_customer as (
    select
        tenant_id,
        customer_id,
        min(occurred_at) as first_event_at
    from client_events
    group by tenant_id, customer_id
),

final as (
    select
        seen_per_customer.tenant_id,
        seen_per_customer.customer_id,
        coalesce(orders_per_customer.total_orders, 0) as total_orders,
        cast(coalesce(orders_per_customer.lifetime_value, 0) as numeric(14, 2)) as lifetime_value,
        cast(
            orders_per_customer.lifetime_value / nullif(orders_per_customer.total_orders, 0)
            as numeric(14, 2)
        ) as average_order_value,
        orders_per_customer.first_purchase_at,
        orders_per_customer.last_purchase_at,
        cast(
            cast({{ days_between(
                'orders_per_customer.first_purchase_at', 'orders_per_customer.last_purchase_at'
            ) }} as numeric) / nullif(orders_per_customer.total_orders - 1, 0)
            as numeric(14, 2)
        ) as purchase_frequency_days,
        touchpoints_per_customer.last_email_open_at,
        touchpoints_per_customer.last_email_click_at,
        touchpoints_per_customer.last_site_visit_at,
        greatest(
            touchpoints_per_customer.last_email_click_at,
            touchpoints_per_customer.last_site_visit_at,
            purchases_per_customer.last_bought_at
        ) as last_engaged_at,
        least(seen_per_customer.first_seen_at, client_events_per_customer.first_event_at)
            as first_seen_at,
        leads.became_lead_at
    from seen_per_customer
    left join orders_per_customer
        on
            seen_per_customer.tenant_id = orders_per_customer.tenant_id
            and seen_per_customer.customer_id = orders_per_customer.customer_id
    left join purchases_per_customer
        on
            seen_per_customer.tenant_id = purchases_per_customer.tenant_id
            and seen_per_customer.customer_id = purchases_per_customer.customer_id
    left join touchpoints_per_customer
        on
            seen_per_customer.tenant_id = touchpoints_per_customer.tenant_id
            and seen_per_customer.customer_id = touchpoints_per_customer.customer_id
    left join leads
        on
            seen_per_customer.tenant_id = leads.tenant_id
            and seen_per_customer.customer_id = leads.customer_id
    left join client_events_per_customer
        on
            seen_per_customer.tenant_id = client_events_per_customer.tenant_id
            and seen_per_customer.customer_id = client_events_per_customer.customer_id
)

select * from final
