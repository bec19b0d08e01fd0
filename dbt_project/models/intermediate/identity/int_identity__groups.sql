{{ config(unique_key=['tenant_id', 'identifier_key']) }}

-- Where vetoes split a cluster, its parts; each is named by the smallest identifier in it.
with steps as (
    select * from {{ ref('int_identity__guarded_steps') }}
    where is_last
),

nodes as (
    select * from {{ ref('int_identity__guarded_nodes') }}
),

group_per_node as (
    select
        steps.tenant_id,
        steps.cluster_id,
        member.place as node_number,
        member.in_group
    from steps
    cross join lateral {{ numbered_items('steps.groups') }} as member (in_group, place)
),

final as (
    select
        group_per_node.tenant_id,
        nodes.node as identifier_key,
        min(nodes.node) over (
            partition by
                group_per_node.tenant_id,
                group_per_node.cluster_id,
                group_per_node.in_group
        ) as group_id
    from group_per_node
    inner join nodes
        on
            group_per_node.tenant_id = nodes.tenant_id
            and group_per_node.cluster_id = nodes.cluster_id
            and group_per_node.node_number = nodes.node_number
)

select * from final
