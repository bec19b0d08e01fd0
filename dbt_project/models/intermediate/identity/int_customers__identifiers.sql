{{ config(
    unique_key=['tenant_id', 'identifier_type', 'identifier'],
    indexes=[
        {'columns': ['tenant_id', 'identifier_key'], 'unique': true},
        {'columns': ['tenant_id', 'customer_id']},
    ],
) }}

-- customer_id is minted from the identifier of the person that was loaded first, in whatever
-- version of a record; identifiers of one load are told apart by their type's strength, then by
-- value, never by the order of rows. An order that names nobody is a customer of its own.
with evidence as (
    select * from {{ ref('int_identity__evidence') }}
),

capped as (
    select * from {{ ref('int_identity__capped') }}
),

clusters as (
    select * from {{ ref('int_identity__clusters') }}
),

groups as (
    select * from {{ ref('int_identity__groups') }}
),

purchases as (
    select * from {{ ref('int_identity__purchases') }}
),

identifier_types as (
    select * from {{ ref('identifier_types') }}
    where identifier_type = 'order_reference'
),

-- What is blocked or over its cap belongs to somebody only by a rule.
owned_evidence as (
    select
        evidence.*,
        coalesce(groups.group_id, clusters.cluster_id, evidence.identifier_key) as group_id
    from evidence
    left join clusters
        on
            evidence.tenant_id = clusters.tenant_id
            and evidence.identifier_key = clusters.identifier_key
    left join groups
        on
            evidence.tenant_id = groups.tenant_id
            and evidence.identifier_key = groups.identifier_key
    where
        evidence.is_evidence
        and (
            clusters.cluster_id is not null
            or not (
                evidence.is_blocked
                or exists (
                    select 1
                    from capped
                    where
                        evidence.tenant_id = capped.tenant_id
                        and evidence.identifier_key = capped.identifier_key
                )
            )
        )
),

sightings_of_nobody as (
    select distinct
        evidence.tenant_id,
        evidence.source,
        evidence.sighting_id,
        evidence.order_reference,
        evidence.first_seen_at,
        evidence.last_seen_at,
        evidence.first_load_id
    from evidence
    where
        evidence.order_reference is not null
        and not exists (
            select 1
            from owned_evidence
            where
                evidence.tenant_id = owned_evidence.tenant_id
                and evidence.source = owned_evidence.source
                and evidence.sighting_id = owned_evidence.sighting_id
        )
        and (
            evidence.source <> 'touchpoints'
            or exists (
                select 1
                from purchases
                where
                    evidence.tenant_id = purchases.tenant_id
                    and evidence.sighting_id = purchases.sighting_id
            )
        )
),

all_identifiers as (
    select
        tenant_id,
        source,
        sighting_id,
        identifier_type,
        identifier,
        identifier_key,
        strength_order,
        group_id,
        seen_count,
        first_seen_at,
        last_seen_at,
        first_load_id,
        shown_since_load_id
    from owned_evidence

    union all

    select
        sightings_of_nobody.tenant_id,
        sightings_of_nobody.source,
        sightings_of_nobody.sighting_id,
        identifier_types.identifier_type,
        sightings_of_nobody.order_reference as identifier,
        'order_reference:' || sightings_of_nobody.order_reference as identifier_key,
        identifier_types.strength_order,
        'order_reference:' || sightings_of_nobody.order_reference as group_id,
        cast(1 as bigint) as seen_count,
        sightings_of_nobody.first_seen_at,
        sightings_of_nobody.last_seen_at,
        sightings_of_nobody.first_load_id,
        sightings_of_nobody.first_load_id as shown_since_load_id
    from sightings_of_nobody
    -- one row of the seed
    cross join identifier_types
),

with_first_source as (
    select
        all_identifiers.*,
        first_value(source) over (
            partition by tenant_id, identifier_key
            order by first_load_id, first_seen_at, source, sighting_id
        ) as first_source
    from all_identifiers
),

per_identifier as (
    select
        tenant_id,
        identifier_type,
        identifier,
        identifier_key,
        strength_order,
        group_id,
        first_source,
        min(shown_since_load_id) as shown_since_load_id,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at,
        sum(seen_count) as seen_count
    from with_first_source
    group by
        tenant_id,
        identifier_type,
        identifier,
        identifier_key,
        strength_order,
        group_id,
        first_source
),

minted as (
    select
        per_identifier.*,
        first_value(identifier_type) over loaded_first as minting_type,
        first_value(identifier) over loaded_first as minting_identifier
    from per_identifier
    window loaded_first as (
        partition by tenant_id, group_id
        order by shown_since_load_id, strength_order, identifier
    )
),

final as (
    select
        tenant_id,
        identifier_type,
        identifier,
        identifier_key,
        strength_order,
        {{ hash_id(['tenant_id', 'minting_type', 'minting_identifier']) }} as customer_id,
        first_source as source,
        first_seen_at,
        last_seen_at,
        cast(seen_count as bigint) as seen_count
    from minted
)

select * from final
