{#- Rows (value, place) of the items of a text separated by commas, counted from 1. -#}
{% macro text_items(list) -%}
    {{ return(adapter.dispatch('text_items', 'journey_warehouse')(list)) }}
{%- endmacro %}

{% macro postgres__text_items(list) -%}
    unnest(string_to_array({{ list }}, ',')) with ordinality
{%- endmacro %}
