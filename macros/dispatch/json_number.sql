{% macro json_number(object, key) -%}
    {{ return(adapter.dispatch('json_number')(object, key)) }}
{%- endmacro %}

{% macro postgres__json_number(object, key) -%}
    cast(substring({{ object }} ->> '{{ key }}' from '^-?\d+(?:\.\d+)?$') as numeric)
{%- endmacro %}
