-- What the evidence connects, before vetoes.
with edges as (
    select * from {{ ref('int_identity__edges') }}
),

ties as (
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
),

linked_nodes as (
    select distinct
        tenant_id,
        node
    from ties
),

components as (
    {{ connected_components('linked_nodes', 'ties') }}
),

final as (
    select
        tenant_id,
        node as identifier_key,
        component as cluster_id
    from components
)

select * from final
