{{ config(
    unique_key=['tenant_id', 'customer_id'],
    indexes=[{'columns': ['tenant_id', 'stage']}],
) }}

with customers as (
    select * from {{ ref('customers') }}
),

final as (
    select
        tenant_id,
        customer_id,
        stage,
        stage_since,
        {{ days_between('last_purchase_at', as_of()) }} as days_since_purchase,
        {{ days_between('coalesce(last_engaged_at, first_seen_at)', as_of()) }}
            as days_since_engagement
    from customers
)

select * from final
