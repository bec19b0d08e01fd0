-- A returned row is a score that ends before it begins, leaves a gap to the next or overlaps it,
-- repeats the one before, or begins after its customer was first seen without a score before it.
with lead_score_history as (
    select * from {{ ref('lead_score_history') }}
    where {{ is_touched('lead_score_history') }}
),

customers as (
    select * from {{ ref('customers') }}
),

rows_with_neighbours as (
    select
        tenant_id,
        customer_id,
        valid_from,
        valid_to,
        recency_score,
        frequency_score,
        monetary_score,
        lag(recency_score) over replay as previous_recency_score,
        lag(frequency_score) over replay as previous_frequency_score,
        lag(monetary_score) over replay as previous_monetary_score,
        lag(valid_from) over replay as previous_valid_from,
        lead(valid_from) over replay as next_valid_from
    from lead_score_history
    window replay as (partition by tenant_id, customer_id order by valid_from)
)

select
    rows_with_neighbours.tenant_id,
    rows_with_neighbours.customer_id,
    rows_with_neighbours.valid_from,
    rows_with_neighbours.valid_to,
    customers.first_seen_at
from rows_with_neighbours
left join customers
    on
        rows_with_neighbours.tenant_id = customers.tenant_id
        and rows_with_neighbours.customer_id = customers.customer_id
where
    rows_with_neighbours.valid_to <= rows_with_neighbours.valid_from
    or rows_with_neighbours.valid_to is distinct from rows_with_neighbours.next_valid_from
    or (
        rows_with_neighbours.recency_score = rows_with_neighbours.previous_recency_score
        and rows_with_neighbours.frequency_score = rows_with_neighbours.previous_frequency_score
        and rows_with_neighbours.monetary_score = rows_with_neighbours.previous_monetary_score
    )
    or (
        rows_with_neighbours.previous_valid_from is null
        and (
            customers.first_seen_at is null
            or rows_with_neighbours.valid_from > customers.first_seen_at
        )
    )
