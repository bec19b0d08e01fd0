{{ config(
    unique_key=['tenant_id', 'customer_id'],
    meta={'within': 'int_customers__aged'},
    indexes=[{'columns': ['tenant_id', 'stage']}],
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
        {{ days_between('last_purchase_at', as_of()) }} as days_since_purchase,
        {{ days_between('coalesce(last_engaged_at, first_seen_at)', as_of()) }}
            as days_since_engagement
    from customers
)

select * from final
