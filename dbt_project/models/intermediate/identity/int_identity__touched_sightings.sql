{{ config(unique_key=['tenant_id', 'source', 'sighting_id']) }}

-- The sightings that show any of the identifiers to resolve anew, and those that changed although
-- all that they show is over its cap. Empty when everything is derived anew.
with touched as (
    select * from {{ ref('int_identity__touched') }}
),

identifiers as (
    select * from {{ ref('int_identity__identifiers') }}
),

changes as (
    select * from {{ ref('int_identity__changes') }}
),

turned as (
    select * from {{ ref('int_identity__turned') }}
),

final as (
    select
        identifiers.tenant_id,
        identifiers.source,
        identifiers.sighting_id
    from touched
    inner join identifiers
        on
            touched.tenant_id = identifiers.tenant_id
            and touched.identifier_key = identifiers.identifier_key

    union

    select
        tenant_id,
        source,
        sighting_id
    from changes

    union

    select
        tenant_id,
        source,
        sighting_id
    from turned
)

select * from final
