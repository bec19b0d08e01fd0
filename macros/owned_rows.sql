{#- The rows of a staging model that this build derives anew, each with the customer it belongs to. -#}
{% macro owned_rows(staging_model, source) -%}
    select
        staged.*,
        owners.customer_id
    from {{ ref('int_identity__owners') }} as owners
    inner join {{ ref(staging_model) }} as staged
        on
            owners.tenant_id = staged.tenant_id
            and owners.sighting_id = staged.sighting_id
    where owners.source = '{{ source }}'
{%- endmacro %}
