{# The values of a group as one comma-separated text, in a given order; an aggregate. #}
{% macro ordered_text_list(value, order) -%}
    {{ return(adapter.dispatch('ordered_text_list', 'journey_warehouse')(value, order)) }}
{%- endmacro %}

{% macro postgres__ordered_text_list(value, order) -%}
    string_agg({{ value }}, ',' order by {{ order }})
{%- endmacro %}
