select
    status,
    count(*) as requests,
    coalesce(sum(points), 0) as points
from marts.reward_redemptions
group by status
order by requests desc, status
