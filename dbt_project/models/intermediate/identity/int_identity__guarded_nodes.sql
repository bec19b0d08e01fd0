{{ config(unique_key=['tenant_id', 'node']) }}

with guarded_edges as (
    select * from {{ ref('int_identity__guarded_edges') }}
),

all_nodes as (
    select
        tenant_id,
        cluster_id,
        key_a as node
    from guarded_edges

    union

    select
        tenant_id,
        cluster_id,
        key_b as node
    from guarded_edges
),

final as (
    select
        tenant_id,
        cluster_id,
        node,
        row_number() over (partition by tenant_id, cluster_id order by node) as node_number,
        case
            when split_part(node, ':', 1) in ('shopify_customer_id', 'contact')
                then split_part(node, ':', 1)
        end as exclusive_as
    from all_nodes
)

select * from final
