{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    unique_key=['tenant_id', 'identifier_key'],
    meta={'within': 'int_identity__changed_keys'},
) }}

-- "Strong ids" are counted per type, and the largest count decides: a person with one e-mail, one
-- shop id and one profile is one person, a phone with four e-mails is a box office.
-- The table of the build before is read first.
-- depends_on: {{ ref('int_identity__capped_before') }}
-- depends_on: {{ ref('int_identity__changed_keys') }}
with identifiers as (
    select identifiers.*
    from {{ ref('int_identity__identifiers') }} as identifiers
    {% if not is_whole_derivation() -%}
        inner join {{ ref('int_identity__changed_keys') }} as changed_keys
            on
                identifiers.tenant_id = changed_keys.tenant_id
                and identifiers.identifier_key = changed_keys.identifier_key
    {%- endif %}
    where
        identifiers.is_evidence
        and not identifiers.is_blocked
        and identifiers.cap is not null
),

neighbours as (
    select * from {{ ref('int_identity__identifiers') }}
    where
        is_evidence
        and not is_blocked
        and is_strong
),

rules as (
    select * from {{ ref('int_identity__rules') }}
    where rule = 'always'
),

strong_neighbours as (
    select distinct
        identifiers.tenant_id,
        identifiers.identifier_key,
        identifiers.cap,
        neighbours.identifier_type as neighbour_type,
        neighbours.identifier as neighbour
    from identifiers
    inner join neighbours
        on
            identifiers.tenant_id = neighbours.tenant_id
            and identifiers.source = neighbours.source
            and identifiers.sighting_id = neighbours.sighting_id
            and identifiers.identifier_key <> neighbours.identifier_key
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

-- That some of its people are forgotten makes nobody its owner.
still_shared as (
    select * from {{ source('ops', 'shared_identifiers') }} as shared
    where exists (
        select 1
        from identifiers
        where
            shared.tenant_id = identifiers.tenant_id
            and shared.identifier_key = identifiers.identifier_key
    )
),

counts_over_cap as (
    select
        tenant_id,
        identifier_key,
        cap,
        strong_count
    from counts_per_type
    where strong_count > cap

    union all

    select
        tenant_id,
        identifier_key,
        cap,
        strong_count
    from still_shared
),

over_cap as (
    select
        tenant_id,
        identifier_key,
        max(cap) as cap,
        max(strong_count) as strong_count
    from counts_over_cap
    group by tenant_id, identifier_key
),

-- A rule ties it to somebody all the same.
ruled_keys as (
    select
        tenant_id,
        key_a as identifier_key
    from rules

    union

    select
        tenant_id,
        key_b as identifier_key
    from rules
),

final as (
    select
        over_cap.tenant_id,
        over_cap.identifier_key,
        over_cap.cap,
        over_cap.strong_count,
        ruled_keys.identifier_key is not null as is_ruled
    from over_cap
    left join ruled_keys
        on
            over_cap.tenant_id = ruled_keys.tenant_id
            and over_cap.identifier_key = ruled_keys.identifier_key
)

select * from final
