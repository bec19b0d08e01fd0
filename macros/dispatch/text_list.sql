{# The distinct values of a group as one comma-separated text, in order; an aggregate. #}
{% macro text_list(value) -%}
    {{ return(adapter.dispatch('text_list', 'journey_warehouse')(value)) }}
{%- endmacro %}

{% macro postgres__text_list(value) -%}
    string_agg(distinct {{ value }}, ',' order by {{ value }})
{%- endmacro %}
