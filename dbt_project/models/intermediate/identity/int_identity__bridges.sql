{{ config(unique_key=['tenant_id', 'node', 'neighbour']) }}

-- What ties clusters that are not one: a record that shows both, or an order that both name.
with sighted_clusters as (
    select * from {{ ref('int_identity__sighted_clusters') }}
),

-- An order number ties the sightings that name it; it needs no node when there is but one, nor does
-- the reference of an order, which only its own sighting shows.
numbers_per_cluster as (
    select
        tenant_id,
        identifier_key,
        min(first_cluster_id) over (partition by tenant_id, identifier_key) as cluster_id,
        first_cluster_id
    from sighted_clusters
    where identifier_key like 'order_number:%'
),

bridges as (
    select
        tenant_id,
        cluster_id as node,
        first_cluster_id as neighbour
    from sighted_clusters
    where
        cluster_id <> first_cluster_id
        and identifier_key not like 'order_number:%'
        and identifier_key not like 'order_reference:%'

    union

    select
        tenant_id,
        cluster_id as node,
        first_cluster_id as neighbour
    from numbers_per_cluster
    where cluster_id <> first_cluster_id
),

final as (
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
)

select * from final
