{#- The rows of a staging model whose load this build counts anew. -#}
{% macro rows_of_changed_loads(staging_model) -%}
    {%- if is_whole_derivation() -%}
    select * from {{ ref(staging_model) }}
    {%- else -%}
    select staged.*
    from {{ ref('int_loads__changed') }} as changed
    inner join {{ ref(staging_model) }} as staged
        on
            changed.tenant_id = staged.tenant_id
            and changed.load_id = staged.load_id
    {%- endif -%}
{%- endmacro %}
