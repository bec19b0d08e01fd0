{#- Fails when a reader could see or change more than the rows of their tenant. -#}
{% macro require_protection() -%}
    {{ return(adapter.dispatch('require_protection', 'journey_warehouse')()) }}
{%- endmacro %}

{% macro postgres__require_protection() -%}
    select access.require_protection()
{%- endmacro %}
