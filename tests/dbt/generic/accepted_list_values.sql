{% test accepted_list_values(model, column_name, values) %}
-- A returned row has a list (items separated by '|') with an item that nothing knows.
with items as (
    select listed.item
    from {{ model }} as checked
    cross join lateral string_to_table(checked.{{ column_name }}, '|') as listed (item)
)

select item
from items
where item not in ({% for value in values %}'{{ value }}'{{ ', ' if not loop.last }}{% endfor %})
{% endtest %}
