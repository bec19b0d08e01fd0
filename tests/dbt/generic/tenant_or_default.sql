{% test tenant_or_default(model, column_name) %}
-- A returned row belongs to a tenant that is not listed in the seed tenants; '*' stands for all.
with tenants as (
    select * from {{ ref('tenants') }}
)

select checked.*
from {{ model }} as checked
left join tenants on checked.{{ column_name }} = tenants.tenant_id
where checked.{{ column_name }} is distinct from '*' and tenants.tenant_id is null
{% endtest %}
