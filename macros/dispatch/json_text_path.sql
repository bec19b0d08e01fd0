{% macro json_text_path(object, path) -%}
    {{ return(adapter.dispatch('json_text_path')(object, path)) }}
{%- endmacro %}

{% macro postgres__json_text_path(object, path) -%}
    ({{ object }} #>> '{ {{- path | join(',') -}} }')
{%- endmacro %}
