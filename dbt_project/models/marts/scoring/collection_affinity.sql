{{ config(
    unique_key=['tenant_id', 'customer_id', 'collection'],
    meta={'within': 'int_customers__touched'},
    indexes=[{'columns': ['tenant_id', 'collection', 'score']}],
) }}

with affinity as (
    select * from {{ ref('int_scoring__affinity') }}
),

final as (
    select
        tenant_id,
        customer_id,
        collection,
        score,
        is_primary
    from affinity
)

select * from final
