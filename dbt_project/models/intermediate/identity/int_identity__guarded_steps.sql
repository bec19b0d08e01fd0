{{ config(unique_key=['tenant_id', 'cluster_id', 'step']) }}

-- One step per edge, taken for all clusters at once; the groups are arrays with one entry per node.
with guarded_edges as (
    select * from {{ ref('int_identity__guarded_edges') }}
),

rules as (
    select * from {{ ref('int_identity__rules') }}
    where rule = 'never'
),

nodes as (
    select * from {{ ref('int_identity__guarded_nodes') }}
),

numbered_edges as (
    select
        guarded_edges.tenant_id,
        guarded_edges.cluster_id,
        guarded_edges.step,
        nodes_a.node_number as node_number_a,
        nodes_b.node_number as node_number_b,
        guarded_edges.is_forced
    from guarded_edges
    inner join nodes as nodes_a
        on
            guarded_edges.tenant_id = nodes_a.tenant_id
            and guarded_edges.key_a = nodes_a.node
    inner join nodes as nodes_b
        on
            guarded_edges.tenant_id = nodes_b.tenant_id
            and guarded_edges.key_b = nodes_b.node
),

pairs_apart as (
    select
        rules.tenant_id,
        nodes_a.cluster_id,
        nodes_a.node_number as node_number_a,
        nodes_b.node_number as node_number_b
    from rules
    inner join nodes as nodes_a
        on
            rules.tenant_id = nodes_a.tenant_id
            and rules.key_a = nodes_a.node
    inner join nodes as nodes_b
        on
            rules.tenant_id = nodes_b.tenant_id
            and rules.key_b = nodes_b.node
            and nodes_a.cluster_id = nodes_b.cluster_id
),

steps as (
    {{ guarded_components('nodes', 'numbered_edges', 'pairs_apart') }}
),

final as (
    select
        tenant_id,
        cluster_id,
        step,
        refused_as,
        groups,
        step = max(step) over (partition by tenant_id, cluster_id) as is_last
    from steps
)

select * from final
