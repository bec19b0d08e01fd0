{#-
    The rows of a staging model whose load this build counts anew. Asked for load by load, for the
    reason that join_sightings gives.
-#}
{% macro rows_of_changed_loads(staging_model) -%}
    {%- if is_whole_derivation() -%}
    select * from {{ ref(staging_model) }}
    {%- else -%}
    select staged.*
    from {{ ref('int_loads__changed') }} as changed
    cross join
        lateral (
            select *
            from {{ ref(staging_model) }} as candidates
            where
                changed.tenant_id = candidates.tenant_id
                and changed.load_id = candidates.load_id
            offset 0
        ) as staged
    {%- endif -%}
{%- endmacro %}
