{#- The rows of a staging model that belong to a sighting which changed since the build before. -#}
{% macro changed_rows(staging_model, source) -%}
    {%- if is_whole_derivation() -%}
    select * from {{ ref(staging_model) }}
    {%- else -%}
    select staged.*
    from {{ ref('int_identity__changes') }} as changes
    inner join {{ ref(staging_model) }} as staged
        on
            changes.tenant_id = staged.tenant_id
            and changes.sighting_id = staged.sighting_id
    where changes.source = '{{ source }}'
    {%- endif -%}
{%- endmacro %}
