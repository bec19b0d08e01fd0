-- A returned row is a client whose customer names no client, or a customer whose client is
-- somebody else's.
with clients as (
    select * from {{ ref('client_journey') }}
    where {{ is_touched('client_journey') }}
),

customers as (
    select * from {{ ref('customers') }}
    where
        client_id is not null
        and {{ is_touched('customers') }}
)

select
    coalesce(clients.tenant_id, customers.tenant_id) as tenant_id,
    clients.client_id,
    customers.client_id as named_client_id,
    clients.customer_id
from clients
full outer join customers
    on
        clients.tenant_id = customers.tenant_id
        and clients.customer_id = customers.customer_id
where
    clients.client_id is null
    or customers.client_id is null
    or customers.client_id > clients.client_id
