{# An order's id at its source: what follows the name of the source and its colon. #}
{% macro id_at_source(order_id) -%}
    substring({{ order_id }}, position(':' in {{ order_id }}) + 1)
{%- endmacro %}
