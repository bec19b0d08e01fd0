{{ config(unique_key=['tenant_id', 'source', 'sighting_id']) }}

-- Everything that is written customer by customer stands after this, and needs to know whose.
-- depends_on: {{ ref('int_customers__touched') }}
-- Whose record is it? The strongest identifier on it that belongs to somebody decides. Everything
-- about a customer is derived from the records listed here; without an owner they still belong to
-- what is derived anew.
with evidence as (
    select * from {{ ref('int_identity__evidence') }}
),

identifiers as (
    select * from {{ ref('int_customers__identifiers') }}
),

references_of_orders as (
    select * from {{ ref('int_customers__identifiers') }}
    where identifier_type = 'order_reference'
),

candidates as (
    select
        evidence.tenant_id,
        evidence.source,
        evidence.sighting_id,
        evidence.order_reference,
        identifiers.customer_id,
        row_number() over (
            partition by evidence.sighting_id, evidence.source, evidence.tenant_id
            order by
                case when identifiers.customer_id is not null then 1 else 2 end,
                evidence.strength_order,
                evidence.seen_count desc,
                evidence.identifier_key
        ) as preference
    from evidence
    left join identifiers
        on
            evidence.tenant_id = identifiers.tenant_id
            and evidence.identifier_key = identifiers.identifier_key
),

final as (
    select
        candidates.tenant_id,
        candidates.source,
        candidates.sighting_id,
        coalesce(candidates.customer_id, references_of_orders.customer_id) as customer_id
    from candidates
    left join references_of_orders
        on
            candidates.tenant_id = references_of_orders.tenant_id
            and candidates.order_reference = references_of_orders.identifier
    where candidates.preference = 1
)

select * from final
