select
    finished_at,
    source,
    file,
    status,
    rows_read,
    rows_loaded,
    rows_unchanged,
    rows_rejected,
    error
from ops.loads
order by load_id desc
limit :rows
