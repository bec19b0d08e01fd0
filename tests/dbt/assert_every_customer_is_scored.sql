-- A returned row is a customer without a lead score, or a score of nobody.
with customer_metrics as (
    select * from {{ ref('int_customers__metrics') }}
),

lead_scores as (
    select * from {{ ref('lead_scores') }}
)

select
    coalesce(customer_metrics.tenant_id, lead_scores.tenant_id) as tenant_id,
    coalesce(customer_metrics.customer_id, lead_scores.customer_id) as customer_id
from customer_metrics
full outer join lead_scores
    on
        customer_metrics.tenant_id = lead_scores.tenant_id
        and customer_metrics.customer_id = lead_scores.customer_id
where customer_metrics.customer_id is null or lead_scores.customer_id is null
