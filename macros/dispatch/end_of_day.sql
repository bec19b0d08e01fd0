{#
    The instant a calendar day of a time zone ends, which is the first instant of the next day there.
#}
{% macro end_of_day(day, time_zone) -%}
    {{ return(adapter.dispatch('end_of_day')(day, time_zone)) }}
{%- endmacro %}

{% macro postgres__end_of_day(day, time_zone) -%}
    (cast(({{ day }}) + 1 as timestamp) at time zone {{ time_zone }})
{%- endmacro %}
