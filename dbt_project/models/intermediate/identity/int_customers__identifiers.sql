-- customer_id is minted from the identifier of the person that was loaded first; identifiers of one
-- load are told apart by their type's strength, then by value, never by the order of rows.
with links as (
    select * from {{ ref('int_identity__links') }}
),

clusters as (
    select * from {{ ref('int_identity__clusters') }}
),

with_first_source as (
    select
        links.*,
        first_value(source) over (
            partition by tenant_id, identifier_key
            order by first_load_id, first_seen_at, source, sighting_id
        ) as first_source
    from links
),

per_identifier as (
    select
        tenant_id,
        identifier_type,
        identifier,
        identifier_key,
        strength_order,
        first_source,
        min(first_load_id) as first_load_id,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at,
        sum(seen_count) as seen_count
    from with_first_source
    group by
        tenant_id, identifier_type, identifier, identifier_key, strength_order, first_source
),

clustered as (
    select
        per_identifier.*,
        coalesce(clusters.component, per_identifier.identifier_key) as component
    from per_identifier
    left join clusters
        on
            per_identifier.tenant_id = clusters.tenant_id
            and per_identifier.identifier_key = clusters.identifier_key
),

minted as (
    select
        clustered.*,
        first_value(identifier_type) over loaded_first as minting_type,
        first_value(identifier) over loaded_first as minting_identifier
    from clustered
    window loaded_first as (
        partition by tenant_id, component
        order by first_load_id, strength_order, identifier
    )
),

final as (
    select
        tenant_id,
        identifier_type,
        identifier,
        {{ hash_id(['tenant_id', 'minting_type', 'minting_identifier']) }} as customer_id,
        first_source as source,
        first_seen_at,
        last_seen_at,
        seen_count
    from minted
)

select * from final
