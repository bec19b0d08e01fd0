{#- The rows of a staging model that this build derives anew, each with the customer it belongs to. -#}
{% macro owned_rows(staging_model, source) -%}
    select
        staged.*,
        owners.customer_id
    from {{ ref('int_identity__owners') }} as owners
    {{ join_sightings('owners', staging_model) }}
    where owners.source = '{{ source }}'
{%- endmacro %}
