{#
    The item of an array at a position counted from one; null beyond its end.
#}
{% macro array_item(array, position) -%}
    {{ return(adapter.dispatch('array_item')(array, position)) }}
{%- endmacro %}

{% macro postgres__array_item(array, position) -%}
    ({{ array }})[{{ position }}]
{%- endmacro %}
