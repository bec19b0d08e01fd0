{#
    The database itself refuses a second row of a model's `unique_key`, before anything is published:
    each table gets a unique index on it, nulls counting as equal, beside the `indexes` it names.
#}
{% macro postgres__create_indexes(relation) %}
    {%- set statements = index_statements(relation) | trim -%}
    {%- if statements -%}{%- do run_query(statements) -%}{%- endif -%}
{% endmacro %}

{% macro index_statements(relation) %}
    {%- set key = config.get('unique_key') -%}
    {%- set indexes = config.get('indexes', []) -%}
    {%- if key -%}
        create unique index on {{ relation }} ({{ key if key is string else key | join(', ') }})
        nulls not distinct;
    {%- endif -%}
    {%- for index in indexes %}
        create {{ 'unique ' if index.unique }}index on {{ relation }}
        {%- if index.type %} using {{ index.type }}{% endif %} ({{ index['columns'] | join(', ') }});
    {%- endfor %}
{% endmacro %}
