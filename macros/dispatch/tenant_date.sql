{% macro tenant_date(instant, time_zone) -%}
    {{ return(adapter.dispatch('tenant_date')(instant, time_zone)) }}
{%- endmacro %}

{% macro postgres__tenant_date(instant, time_zone) -%}
    cast(({{ instant }}) at time zone {{ time_zone }} as date)
{%- endmacro %}
