{{ config(
    unique_key=['tenant_id', 'identifier_type', 'identifier'],
    meta={'within': 'int_customers__touched'},
    indexes=[{'columns': ['tenant_id', 'customer_id']}],
) }}

-- No mart changes while an order lacks its rate, so this one too waits for that test.
-- depends_on: {{ ref('int_orders__rated') }}
with identifiers as (
    select * from {{ ref('int_customers__identifiers') }}
),

ranked as (
    select
        identifiers.*,
        row_number() over (
            partition by customer_id, tenant_id, identifier_type
            order by seen_count desc, last_seen_at desc, identifier
        ) as preference
    from identifiers
),

final as (
    select
        tenant_id,
        identifier_type,
        identifier,
        customer_id,
        source,
        preference = 1 as is_primary,
        first_seen_at,
        last_seen_at,
        cast(seen_count as bigint) as seen_count
    from ranked
)

select * from final
