{# One JSON list of the given values. #}
{% macro json_array(values) -%}
    {{ return(adapter.dispatch('json_array', 'journey_warehouse')(values)) }}
{%- endmacro %}

{% macro postgres__json_array(values) -%}
    jsonb_build_array({{ values | join(', ') }})
{%- endmacro %}
