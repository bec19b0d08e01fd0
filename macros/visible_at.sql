{% macro visible_at(event_at) -%}
    case when {{ visible(event_at) }} then {{ event_at }} end
{%- endmacro %}
