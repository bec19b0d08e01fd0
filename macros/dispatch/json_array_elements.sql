{% macro json_array_elements(list) -%}
    {{ return(adapter.dispatch('json_array_elements')(list)) }}
{%- endmacro %}

{% macro postgres__json_array_elements(list) -%}
    jsonb_array_elements({{ list }})
{%- endmacro %}
