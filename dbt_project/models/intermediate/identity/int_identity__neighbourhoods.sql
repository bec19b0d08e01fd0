{{ config(unique_key=['tenant_id', 'identifier_key'], pre_hook='{{ hash_joins_only() }}') }}

-- Everything that can influence each other's resolution, whether it is one customer or not: what
-- evidence connects, what stands on one record although a veto keeps it apart, and what names one
-- order. Labelled by the smallest cluster in it.
with sighted_clusters as (
    select * from {{ ref('int_identity__sighted_clusters') }}
),

bridges as (
    select * from {{ ref('int_identity__bridges') }}
),

bridged_clusters as (
    select distinct
        tenant_id,
        node
    from {{ ref('int_identity__bridges') }}
),

components as (
    {{ connected_components('bridged_clusters', 'bridges') }}
),

final as (
    select
        sighted_clusters.tenant_id,
        sighted_clusters.identifier_key,
        min(coalesce(components.component, sighted_clusters.first_cluster_id))
            as neighbourhood_id
    from sighted_clusters
    left join components
        on
            sighted_clusters.tenant_id = components.tenant_id
            and sighted_clusters.first_cluster_id = components.node
    group by sighted_clusters.tenant_id, sighted_clusters.identifier_key
)

select * from final
