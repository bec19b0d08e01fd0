-- A star per sighting: each identifier is tied to the first one of the sighting, in both
-- directions.
with links as (
    select * from {{ ref('int_identity__links') }}
),

ties as (
    select
        tenant_id,
        identifier_key,
        min(identifier_key) over (partition by tenant_id, sighting_id) as first_identifier_key
    from links
),

final as (
    select
        tenant_id,
        identifier_key as node,
        first_identifier_key as neighbour
    from ties
    where identifier_key <> first_identifier_key

    union

    select
        tenant_id,
        first_identifier_key as node,
        identifier_key as neighbour
    from ties
    where identifier_key <> first_identifier_key
)

select * from final
