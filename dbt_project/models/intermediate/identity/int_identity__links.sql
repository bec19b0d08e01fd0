-- A value shared by more people than its cap links nothing, so it is left out here. An order
-- reference identifies a buyer only when nothing else on the order does: that order's money then
-- belongs to a customer of its own.
with identifiers as (
    select * from {{ ref('int_identity__identifiers') }}
),

capped as (
    select * from {{ ref('int_identity__capped') }}
),

sightings as (
    select * from {{ ref('int_identity__sightings') }}
),

identifier_types as (
    select * from {{ ref('identifier_types') }}
),

linking_identifiers as (
    select
        identifiers.tenant_id,
        identifiers.sighting_id,
        identifiers.identifier_type,
        identifiers.identifier,
        identifiers.identifier_key,
        identifiers.strength_order,
        identifiers.source,
        identifiers.first_seen_at,
        identifiers.last_seen_at,
        identifiers.seen_count,
        identifiers.first_load_id
    from identifiers
    where not exists (
        select 1
        from capped
        where
            identifiers.tenant_id = capped.tenant_id
            and identifiers.identifier_key = capped.identifier_key
    )
),

order_references as (
    select
        sightings.tenant_id,
        sightings.sighting_id,
        identifier_types.identifier_type,
        sightings.order_reference as identifier,
        identifier_types.identifier_type || ':' || sightings.order_reference as identifier_key,
        identifier_types.strength_order,
        sightings.source,
        sightings.first_seen_at,
        sightings.last_seen_at,
        sightings.seen_count,
        sightings.first_load_id
    from sightings
    -- one row of the seed
    inner join identifier_types on identifier_types.identifier_type = 'order_reference'
    where
        sightings.order_reference is not null
        and not exists (
            select 1
            from linking_identifiers
            where
                sightings.tenant_id = linking_identifiers.tenant_id
                and sightings.sighting_id = linking_identifiers.sighting_id
        )
),

final as (
    select * from linking_identifiers

    union all

    select * from order_references
)

select * from final
