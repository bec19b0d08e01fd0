{{ config(unique_key=['tenant_id', 'node', 'neighbour']) }}

-- Every edge in both directions.
with edges as (
    select * from {{ ref('int_identity__edges') }}
),

final as (
    select
        tenant_id,
        key_a as node,
        key_b as neighbour
    from edges

    union all

    select
        tenant_id,
        key_b as node,
        key_a as neighbour
    from edges
)

select * from final
