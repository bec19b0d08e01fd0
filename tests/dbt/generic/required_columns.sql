{% test required_columns(model, columns) %}
-- A returned row lacks a value that every row must have.
select *
from {{ model }}
where {{ columns | join(' is null or ') }} is null
{% endtest %}
