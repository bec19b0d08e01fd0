{#- Rows (value, place) of the items of an array, counted from 1. -#}
{% macro numbered_items(list) -%}
    {{ return(adapter.dispatch('numbered_items')(list)) }}
{%- endmacro %}

{% macro postgres__numbered_items(list) -%}
    unnest({{ list }}) with ordinality
{%- endmacro %}
