select
    occurred_at,
    transaction_type,
    points,
    balance_after,
    expires_at,
    transaction_number
from marts.points_transactions
where customer_id = :customer_id
