{#- What a table that the sender reads needs before its transaction ends: its grant. -#}
{% macro admit_sender() -%}
    {{ return(adapter.dispatch('admit_sender', 'journey_warehouse')()) }}
{%- endmacro %}

{% macro postgres__admit_sender() -%}
    select access.admit_sender()
{%- endmacro %}
