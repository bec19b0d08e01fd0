with latest_builds as (
    select
        build_id,
        started_at
    from ops.builds
    order by started_at desc, build_id
    limit 15
)

select
    latest_builds.started_at,
    checks.passed,
    checks.warned,
    checks.failed
from latest_builds
inner join ops.checks_of_builds() as checks on latest_builds.build_id = checks.build_id
order by latest_builds.started_at desc, latest_builds.build_id
