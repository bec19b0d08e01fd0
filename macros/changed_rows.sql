{#- The rows of a staging model that belong to a sighting which changed since the build before. -#}
{% macro changed_rows(staging_model, source) -%}
    {%- if is_whole_derivation() -%}
    select * from {{ ref(staging_model) }}
    {%- else -%}
    select staged.*
    from {{ ref('int_identity__changes') }} as changes
    {{ join_sightings('changes', staging_model) }}
    where changes.source = '{{ source }}'
    {%- endif -%}
{%- endmacro %}
