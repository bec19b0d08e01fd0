select
    started_at,
    cast(extract(epoch from finished_at - started_at) as integer) as seconds,
    as_of,
    verdict
from ops.builds
order by started_at desc, build_id
limit 15
