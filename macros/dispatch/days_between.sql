{% macro days_between(start_at, end_at) -%}
    {{ return(adapter.dispatch('days_between')(start_at, end_at)) }}
{%- endmacro %}

{% macro postgres__days_between(start_at, end_at) -%}
    cast(floor(extract(epoch from ({{ end_at }}) - ({{ start_at }})) / 86400) as bigint)
{%- endmacro %}
