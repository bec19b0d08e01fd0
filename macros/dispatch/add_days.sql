{% macro add_days(instant, days) -%}
    {{ return(adapter.dispatch('add_days')(instant, days)) }}
{%- endmacro %}

{% macro postgres__add_days(instant, days) -%}
    (({{ instant }}) + ({{ days }}) * interval '24 hours')
{%- endmacro %}
