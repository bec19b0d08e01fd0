{{ config(unique_key=['tenant_id', 'order_id']) }}

with lines as (
    select * from {{ ref('int_orders__lines') }}
),

ranked as (
    select
        tenant_id,
        order_id,
        collection,
        row_number() over (
            partition by order_id, tenant_id order by sum(amount) desc, collection
        ) as collection_rank
    from lines
    where collection is not null
    group by tenant_id, order_id, collection
),

final as (
    select
        tenant_id,
        order_id,
        collection
    from ranked
    where collection_rank = 1
)

select * from final
