-- A returned row is a customer without a lead score, or a score of nobody.
with customers as (
    select * from {{ ref('customers') }}
),

lead_scores as (
    select * from {{ ref('lead_scores') }}
)

select
    coalesce(customers.tenant_id, lead_scores.tenant_id) as tenant_id,
    coalesce(customers.customer_id, lead_scores.customer_id) as customer_id
from customers
full outer join lead_scores
    on
        customers.tenant_id = lead_scores.tenant_id
        and customers.customer_id = lead_scores.customer_id
where customers.customer_id is null or lead_scores.customer_id is null
