{% macro json_text(object, key) -%}
    {{ return(adapter.dispatch('json_text')(object, key)) }}
{%- endmacro %}

{% macro postgres__json_text(object, key) -%}
    ({{ object }} ->> '{{ key }}')
{%- endmacro %}
