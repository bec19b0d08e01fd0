{#- Lets the tables that are kept between builds note who takes rows away, other than a build. -#}
{% macro watch() -%}
    {{ return(adapter.dispatch('watch', 'journey_warehouse')()) }}
{%- endmacro %}

{% macro postgres__watch() -%}
    select access.watch(array[
        {%- for node in graph.get('nodes', {}).values() if node.config.materialized == 'incremental' -%}
        '{{ node.schema }}.{{ node.alias }}'{{ ', ' if not loop.last }}
        {%- endfor -%}
    ])
{%- endmacro %}

{#- What a transaction says that puts other rows in the place of those it takes away. -#}
{% macro says_it_replaces() -%}
    {{ return(adapter.dispatch('says_it_replaces', 'journey_warehouse')()) }}
{%- endmacro %}

{% macro postgres__says_it_replaces() -%}
    set local journey.replaces = 'on'
{%- endmacro %}
