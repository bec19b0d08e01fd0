{#-
    For models that join results of their own, of which the planner knows nothing: it takes them for a
    few rows and walks one for each row of the other. Holds for the transaction.
-#}
{% macro hash_joins_only() -%}
    {{ return(adapter.dispatch('hash_joins_only', 'journey_warehouse')()) }}
{%- endmacro %}

{% macro postgres__hash_joins_only() -%}
    set local enable_nestloop = off; set local enable_mergejoin = off
{%- endmacro %}
