{#-
    Lets the transaction of a model end before the disk has it. A crash of the machine takes the last
    of them back, and nothing that came before them: as if the build had ended a moment earlier. That it
    succeeded is recorded by a commit that waits, for all of them.
-#}
{% macro commit_without_waiting() -%}
    {{ return(adapter.dispatch('commit_without_waiting', 'journey_warehouse')()) }}
{%- endmacro %}

{% macro postgres__commit_without_waiting() -%}
    set local synchronous_commit = off
{%- endmacro %}
