-- customer_id is minted from the identifier of the person that was loaded first; identifiers of one
-- load are told apart by their type's strength, then by value, never by the order of rows.
with links as (
    select * from {{ ref('int_identity__links') }}
),

clusters as (
    select * from {{ ref('int_identity__clusters') }}
),

per_identifier as (
    select
        tenant_id,
        identifier_type,
        identifier,
        identifier_key,
        strength_order,
        min(first_load_id) as first_load_id,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at,
        sum(seen_count) as seen_count
    from links
    group by tenant_id, identifier_type, identifier, identifier_key, strength_order
),

first_sources as (
    select
        tenant_id,
        identifier_key,
        source,
        row_number() over (
            partition by tenant_id, identifier_key
            order by first_load_id, first_seen_at, source, sighting_id
        ) as source_order
    from links
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
        tenant_id,
        component,
        identifier_type,
        identifier,
        row_number() over (
            partition by tenant_id, component order by first_load_id, strength_order, identifier
        ) as minting_order
    from clustered
),

final as (
    select
        clustered.tenant_id,
        clustered.identifier_type,
        clustered.identifier,
        {{ hash_id(['clustered.tenant_id', 'minted.identifier_type', 'minted.identifier']) }}
            as customer_id,
        first_sources.source,
        clustered.first_seen_at,
        clustered.last_seen_at,
        clustered.seen_count
    from clustered
    -- exactly one minting identifier per component
    inner join minted
        on
            clustered.tenant_id = minted.tenant_id
            and clustered.component = minted.component
            and minted.minting_order = 1
    -- exactly one first source per identifier
    inner join first_sources
        on
            clustered.tenant_id = first_sources.tenant_id
            and clustered.identifier_key = first_sources.identifier_key
            and first_sources.source_order = 1
)

select * from final
