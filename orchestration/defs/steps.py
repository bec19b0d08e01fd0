"""The names of the steps of a run, by which one step knows which others follow."""

RAW_CHECKS_STEP = "check_raw"
DBT_STEP = "dbt_build"
SYNC_CHECKS_STEP = "check_sync"
