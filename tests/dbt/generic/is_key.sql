{% test is_key(model, columns) %}
-- A returned row is a value of the key that is incomplete, or that stands in more than one row.
select
    {{ columns | join(', ') }},
    count(*) as row_count
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1 or {{ columns | join(' is null or ') }} is null
{% endtest %}
