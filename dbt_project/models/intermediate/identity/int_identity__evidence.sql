{{ config(unique_key=['tenant_id', 'source', 'sighting_id', 'identifier_key']) }}

-- What this build resolves anew, with what is known of the sighting, and the load that first
-- brought the identifier in any version of a record.
-- depends_on: {{ ref('int_identity__touched_sightings') }}
with identifiers as (
    select * from {{ ref('int_identity__identifiers') }}
),

{% if not is_whole_derivation() -%}
    touched_sightings as (
        select * from {{ ref('int_identity__touched_sightings') }}
    ),

{% endif -%}
sightings as (
    select * from {{ ref('int_identity__sightings') }}
),

versions as (
    select * from {{ ref('int_identity__versions') }}
),

shown_identifiers as (
    select
        identifiers.tenant_id,
        identifiers.source,
        identifiers.sighting_id,
        identifiers.identifier_type,
        identifiers.identifier,
        identifiers.identifier_key,
        identifiers.strength_order,
        identifiers.is_strong,
        identifiers.cap,
        identifiers.is_evidence,
        identifiers.is_blocked,
        identifiers.seen_count,
        sightings.seen_count as record_count,
        sightings.order_reference,
        sightings.order_number,
        sightings.sample_record_id,
        sightings.first_seen_at,
        sightings.last_seen_at,
        sightings.first_load_id,
        sightings.load_id
    from identifiers
    {% if not is_whole_derivation() -%}
        inner join touched_sightings
            on
                identifiers.tenant_id = touched_sightings.tenant_id
                and identifiers.source = touched_sightings.source
                and identifiers.sighting_id = touched_sightings.sighting_id
    {%- endif %}
    inner join sightings
        on
            identifiers.tenant_id = sightings.tenant_id
            and identifiers.source = sightings.source
            and identifiers.sighting_id = sightings.sighting_id
),

replaced_versions as (
    select
        tenant_id,
        identifier_key,
        min(load_id) as load_id
    from versions
    where
        exists (
            select 1
            from shown_identifiers
            where
                versions.tenant_id = shown_identifiers.tenant_id
                and versions.identifier_key = shown_identifiers.identifier_key
        )
    group by tenant_id, identifier_key
),

final as (
    select
        shown_identifiers.tenant_id,
        shown_identifiers.source,
        shown_identifiers.sighting_id,
        shown_identifiers.identifier_type,
        shown_identifiers.identifier,
        shown_identifiers.identifier_key,
        shown_identifiers.strength_order,
        shown_identifiers.is_strong,
        shown_identifiers.cap,
        shown_identifiers.is_evidence,
        shown_identifiers.is_blocked,
        shown_identifiers.seen_count,
        shown_identifiers.record_count,
        shown_identifiers.order_reference,
        shown_identifiers.order_number,
        shown_identifiers.sample_record_id,
        shown_identifiers.first_seen_at,
        shown_identifiers.last_seen_at,
        shown_identifiers.first_load_id,
        least(shown_identifiers.load_id, replaced_versions.load_id) as shown_since_load_id
    from shown_identifiers
    left join replaced_versions
        on
            shown_identifiers.tenant_id = replaced_versions.tenant_id
            and shown_identifiers.identifier_key = replaced_versions.identifier_key
)

select * from final
