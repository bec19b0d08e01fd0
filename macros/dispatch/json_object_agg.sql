{# One object from the names and values of a group; an aggregate. #}
{% macro json_object_agg(name, value) -%}
    {{ return(adapter.dispatch('json_object_agg', 'journey_warehouse')(name, value)) }}
{%- endmacro %}

{% macro postgres__json_object_agg(name, value) -%}
    jsonb_object_agg({{ name }}, {{ value }})
{%- endmacro %}
