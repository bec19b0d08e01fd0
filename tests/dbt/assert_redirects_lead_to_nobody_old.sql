-- A returned row is an old customer id that leads to another old one, so that whoever follows it
-- once does not arrive.
with redirects as (
    select * from {{ ref('customer_redirects') }}
),

followed as (
    select * from {{ ref('customer_redirects') }}
)

select
    redirects.tenant_id,
    redirects.old_customer_id,
    redirects.customer_id
from redirects
inner join followed
    on
        redirects.tenant_id = followed.tenant_id
        and redirects.customer_id = followed.old_customer_id
