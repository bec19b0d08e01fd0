{#
    The elements of a JSON list with their places, for `cross join lateral … as alias (value, place)`.
#}
{% macro numbered_elements(list) -%}
    {{ return(adapter.dispatch('numbered_elements')(list)) }}
{%- endmacro %}

{% macro postgres__numbered_elements(list) -%}
    jsonb_array_elements({{ list }}) with ordinality
{%- endmacro %}
