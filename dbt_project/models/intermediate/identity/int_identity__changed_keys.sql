{{ config(unique_key=['tenant_id', 'identifier_key']) }}

-- What the changed sightings show, what they showed before, and what a rule ties to any of it.
with replaced as (
    select * from {{ ref('int_identity__replaced') }}
),

changes as (
    select * from {{ ref('int_identity__changes') }}
),

identifiers as (
    select * from {{ ref('int_identity__identifiers') }}
),

rules as (
    select * from {{ ref('int_identity__rules') }}
    where rule = 'always'
),

shown as (
    select
        tenant_id,
        identifier_key
    from replaced
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
),

final as (
    select
        tenant_id,
        identifier_key
    from shown

    union

    select
        shown.tenant_id,
        case when shown.identifier_key = rules.key_a then rules.key_b else rules.key_a end
            as identifier_key
    from shown
    inner join rules
        on
            shown.tenant_id = rules.tenant_id
            and shown.identifier_key in (rules.key_a, rules.key_b)
)

select * from final
