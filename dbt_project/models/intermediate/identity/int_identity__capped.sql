-- "Strong ids" are counted per type, and the largest count decides: a person with one e-mail, one
-- shop id and one profile is one person, a phone with four e-mails is a box office.
with identifiers as (
    select * from {{ ref('int_identity__identifiers') }}
),

strong_neighbours as (
    select distinct
        identifiers.tenant_id,
        identifiers.identifier_type,
        identifiers.identifier,
        identifiers.identifier_key,
        identifiers.cap,
        neighbours.identifier_type as neighbour_type,
        neighbours.identifier as neighbour
    from identifiers
    inner join identifiers as neighbours
        on
            identifiers.tenant_id = neighbours.tenant_id
            and identifiers.sighting_id = neighbours.sighting_id
            and identifiers.identifier_key <> neighbours.identifier_key
    where
        identifiers.cap is not null
        and neighbours.is_strong
),

counts_per_type as (
    select
        tenant_id,
        identifier_type,
        identifier,
        identifier_key,
        cap,
        neighbour_type,
        count(*) as strong_count
    from strong_neighbours
    group by tenant_id, identifier_type, identifier, identifier_key, cap, neighbour_type
),

final as (
    select
        tenant_id,
        identifier_type,
        identifier,
        identifier_key,
        cap,
        max(strong_count) as strong_count
    from counts_per_type
    where strong_count > cap
    group by tenant_id, identifier_type, identifier, identifier_key, cap
)

select * from final
