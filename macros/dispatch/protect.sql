{#-
    What a readable table needs before its transaction ends: row-level security, its policies and the
    grants of its readers. A table that has them is left alone, for changing them waits for readers.
-#}
{% macro protect() -%}
    {{ return(adapter.dispatch('protect', 'journey_warehouse')()) }}
{%- endmacro %}

{% macro postgres__protect() -%}
    select access.protect('{{ this }}')
{%- endmacro %}
