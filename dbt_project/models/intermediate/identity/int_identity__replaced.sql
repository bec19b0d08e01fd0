{#- Reads a table that stands after it, as the build before left it. -#}
{%- set identifiers_before = previous('int_identity__identifiers') -%}
-- What the sightings that changed showed before this build.
-- depends_on: {{ ref('int_identity__changes') }}
{% if identifiers_before -%}
    with identifiers_before as (
        select * from {{ identifiers_before }}
    ),

    {% if not is_whole_derivation() -%}
        changes as (
            select * from {{ ref('int_identity__changes') }}
        ),

    {% endif -%}
    final as (
        select
            identifiers_before.tenant_id,
            identifiers_before.source,
            identifiers_before.sighting_id,
            identifiers_before.identifier_key
        from identifiers_before
        {% if not is_whole_derivation() -%}
            inner join changes
                on
                    identifiers_before.tenant_id = changes.tenant_id
                    and identifiers_before.source = changes.source
                    and identifiers_before.sighting_id = changes.sighting_id
        {%- endif %}
    )

    select * from final
{%- else -%}
    select
        cast(null as {{ dbt.type_string() }}) as tenant_id,
        cast(null as {{ dbt.type_string() }}) as source,
        cast(null as {{ dbt.type_string() }}) as sighting_id,
        cast(null as {{ dbt.type_string() }}) as identifier_key
    where false
{%- endif %}
