{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    unique_key=['tenant_id', 'customer_id'],
    meta={'within': 'int_customers__aged'},
) }}

-- depends_on: {{ ref('int_customers__aged') }}
with customers as (
    select * from {{ ref('customers') }}
    where {{ is_touched('customers', 'int_customers__aged') }}
),

final as (
    select
        tenant_id,
        customer_id,
        stage,
        stage_since,
        primary_collection,
        lead_band,
        total_orders,
        lifetime_value,
        {{ days_between('last_purchase_at', as_of()) }} as days_since_purchase,
        email is not null as has_email,
        email_subscribed as is_email_subscribed,
        is_email_suppressed,
        {{ days_between(
            'coalesce(greatest(last_purchase_at, last_email_click_at), first_seen_at)', as_of()
        ) }} as days_inactive
    from customers
    -- nobody means a pseudonym, and nothing is sent to one
    where not coalesce(is_erased, false)
)

select * from final
