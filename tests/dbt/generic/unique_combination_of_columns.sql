{% test unique_combination_of_columns(model, columns) %}
-- A returned row is a value of the key that stands in more than one row. Nulls count as equal.
select
    {{ columns | join(', ') }},
    count(*) as row_count
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
