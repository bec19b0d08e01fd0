{% macro timestamp_text(instant) -%}
    {{ return(adapter.dispatch('timestamp_text')(instant)) }}
{%- endmacro %}

{% macro postgres__timestamp_text(instant) -%}
    to_char(({{ instant }}) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
{%- endmacro %}
