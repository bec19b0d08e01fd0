{# The instant under a key of a JSON object; null when it is missing or no instant. #}
{% macro json_timestamp(object, key) -%}
    {{ return(adapter.dispatch('json_timestamp')(object, key)) }}
{%- endmacro %}

{% macro postgres__json_timestamp(object, key) -%}
    case
        when pg_input_is_valid({{ object }} ->> '{{ key }}', 'timestamptz')
            then cast({{ object }} ->> '{{ key }}' as timestamptz)
    end
{%- endmacro %}
