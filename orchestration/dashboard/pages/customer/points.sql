select
    occurred_at,
    transaction_type,
    points,
    balance_after,
    expires_at
from marts.points_transactions
where customer_id = :customer_id
order by transaction_number desc
limit :rows
