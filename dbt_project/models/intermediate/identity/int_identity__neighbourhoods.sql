-- Everything that can influence each other's resolution, whether it is one customer or not: what
-- evidence connects, what stands on one record although a cap or a veto keeps it apart, and what
-- names one order. Labelled by the smallest cluster in it.
with evidence as (
    select * from {{ ref('int_identity__evidence') }}
),

clusters as (
    select * from {{ ref('int_identity__clusters') }}
),

clusters_on_sightings as (
    select
        evidence.tenant_id,
        evidence.source,
        evidence.sighting_id,
        evidence.identifier_key,
        coalesce(clusters.cluster_id, evidence.identifier_key) as cluster_id,
        first_value(coalesce(clusters.cluster_id, evidence.identifier_key)) over (
            partition by evidence.tenant_id, evidence.source, evidence.sighting_id
            order by
                case when evidence.identifier_type = 'order_number' then 2 else 1 end,
                coalesce(clusters.cluster_id, evidence.identifier_key),
                evidence.identifier_key
        ) as first_cluster_id
    from evidence
    left join clusters
        on
            evidence.tenant_id = clusters.tenant_id
            and evidence.identifier_key = clusters.identifier_key
),

-- An order number ties the sightings that name it; it needs no node when there is but one.
numbers_per_cluster as (
    select
        tenant_id,
        identifier_key,
        min(first_cluster_id) over (partition by tenant_id, identifier_key) as cluster_id,
        first_cluster_id
    from clusters_on_sightings
    where identifier_key like 'order_number:%'
),

bridges as (
    select
        tenant_id,
        cluster_id as node,
        first_cluster_id as neighbour
    from clusters_on_sightings
    where
        cluster_id <> first_cluster_id
        and identifier_key not like 'order_number:%'

    union

    select
        tenant_id,
        cluster_id as node,
        first_cluster_id as neighbour
    from numbers_per_cluster
    where cluster_id <> first_cluster_id
),

both_ways as (
    select
        tenant_id,
        node,
        neighbour
    from bridges

    union

    select
        tenant_id,
        neighbour as node,
        node as neighbour
    from bridges
),

bridged_clusters as (
    select distinct
        tenant_id,
        node
    from both_ways
),

components as (
    {{ connected_components('bridged_clusters', 'both_ways') }}
),

final as (
    select
        clusters_on_sightings.tenant_id,
        clusters_on_sightings.identifier_key,
        min(coalesce(components.component, clusters_on_sightings.first_cluster_id))
            as neighbourhood_id
    from clusters_on_sightings
    left join components
        on
            clusters_on_sightings.tenant_id = components.tenant_id
            and clusters_on_sightings.first_cluster_id = components.node
    group by clusters_on_sightings.tenant_id, clusters_on_sightings.identifier_key
)

select * from final
