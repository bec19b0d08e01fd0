-- "Strong ids" are counted per type, and the largest count decides: a person with one e-mail, one
-- shop id and one profile is one person, a phone with four e-mails is a box office.
with evidence as (
    select * from {{ ref('int_identity__evidence') }}
    where
        is_evidence
        and not is_blocked
        and cap is not null
),

neighbours as (
    select * from {{ ref('int_identity__evidence') }}
    where
        is_evidence
        and not is_blocked
        and is_strong
),

strong_neighbours as (
    select distinct
        evidence.tenant_id,
        evidence.identifier_key,
        evidence.cap,
        neighbours.identifier_type as neighbour_type,
        neighbours.identifier as neighbour
    from evidence
    inner join neighbours
        on
            evidence.tenant_id = neighbours.tenant_id
            and evidence.source = neighbours.source
            and evidence.sighting_id = neighbours.sighting_id
            and evidence.identifier_key <> neighbours.identifier_key
),

counts_per_type as (
    select
        tenant_id,
        identifier_key,
        cap,
        neighbour_type,
        count(*) as strong_count
    from strong_neighbours
    group by tenant_id, identifier_key, cap, neighbour_type
),

final as (
    select
        tenant_id,
        identifier_key,
        cap,
        max(strong_count) as strong_count
    from counts_per_type
    where strong_count > cap
    group by tenant_id, identifier_key, cap
)

select * from final
