{% macro visible(event_at) -%}
    {{ event_at }} <= {{ as_of() }}
{%- endmacro %}
