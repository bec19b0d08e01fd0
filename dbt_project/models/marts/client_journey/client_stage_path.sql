{{ config(
    unique_key=['tenant_id', 'client_id', 'step'],
    meta={'within': 'int_customers__touched'},
    indexes=[{'columns': ['tenant_id', 'customer_id']}],
) }}

with path as (
    select * from {{ ref('int_client_journey__path') }}
),

final as (
    select
        tenant_id,
        client_id,
        customer_id,
        step,
        stage,
        entered_at,
        left_at,
        {{ days_between('entered_at', 'left_at') }} as days_in_stage
    from path
)

select * from final
