with edges as (
    select * from {{ ref('int_identity__edges') }}
),

linked_nodes as (
    select distinct
        tenant_id,
        node
    from edges
),

components as (
    {{ connected_components('linked_nodes', 'edges') }}
),

final as (
    select
        tenant_id,
        node as identifier_key,
        component
    from components
)

select * from final
