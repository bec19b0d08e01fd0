{% test accepted_range(model, column_name, min_value=none, max_value=none) %}
-- A returned row has a value below the least or above the greatest accepted one.
select *
from {{ model }}
where
    {{ column_name }} < {{ column_name if min_value is none else min_value }}
    or {{ column_name }} > {{ column_name if max_value is none else max_value }}
{% endtest %}
