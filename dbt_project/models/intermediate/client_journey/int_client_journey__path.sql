{{ config(unique_key=['tenant_id', 'client_id', 'step']) }}

-- Stages that begin and end at one instant are passed over.
with spans as (
    select * from {{ ref('int_client_journey__spans') }}
),

with_previous as (
    select
        spans.*,
        lag(stage) over (partition by tenant_id, client_id order by valid_from) as previous_stage
    from spans
),

entries as (
    select *
    from with_previous
    where stage is distinct from previous_stage
),

final as (
    select
        tenant_id,
        customer_id,
        client_id,
        row_number() over path as step,
        stage,
        valid_from as entered_at,
        lead(valid_from) over path as left_at
    from entries
    window path as (partition by tenant_id, client_id order by valid_from)
)

select * from final
