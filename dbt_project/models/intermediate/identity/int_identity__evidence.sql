{{ config(unique_key=['tenant_id', 'source', 'sighting_id', 'identifier_key']) }}

-- What this build resolves anew, with what is known of the sighting.
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

final as (
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
        sightings.first_load_id
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
)

select * from final
