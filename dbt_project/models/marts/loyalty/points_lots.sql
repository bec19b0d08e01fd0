{{ config(
    unique_key=['lot_id', 'tenant_id'],
    meta={'within': 'int_customers__touched'},
    indexes=[{'columns': ['tenant_id', 'customer_id', 'expires_at']}],
) }}

with lots as (
    select * from {{ ref('int_loyalty__lots') }}
),

final as (
    select
        tenant_id,
        {{ hash_id(['tenant_id', 'event_type', 'source_id', 'event_type']) }} as lot_id,
        customer_id,
        points,
        remaining_points,
        opened_at,
        expires_at
    from lots
)

-- What belongs to one customer stands together, so that a build of a few reads few pages.
select * from final
order by tenant_id, customer_id
