select
    source,
    sum(rows_rejected) as rows_rejected,
    sum(rows_read) as rows_read
from ops.loads
group by source
having sum(rows_rejected) > 0
order by rows_rejected desc, source
