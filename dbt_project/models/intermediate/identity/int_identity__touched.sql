{{ config(
    indexes=[{'columns': ['tenant_id', 'identifier_key'], 'unique': true}],
) }}

-- The identifiers that this build derives anew: whole neighbourhoods, so that nothing outside can
-- change what comes out. Empty when everything is derived anew.
with owners_before as (
    select * from {{ ref('int_identity__owners_before') }}
),

changes as (
    select * from {{ ref('int_identity__changes') }}
),

identifiers as (
    select * from {{ ref('int_identity__identifiers') }}
),

final as (
    select
        tenant_id,
        identifier_key
    from owners_before
    where {{ 'false' if is_whole_derivation() else 'true' }}

    union

    select
        identifiers.tenant_id,
        identifiers.identifier_key
    from changes
    inner join identifiers
        on
            changes.tenant_id = identifiers.tenant_id
            and changes.source = identifiers.source
            and changes.sighting_id = identifiers.sighting_id
)

select * from final
