{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    unique_key=['tenant_id', 'customer_id'],
    indexes=[{'columns': ['tenant_id', 'referral_code'], 'unique': true}],
) }}

-- Over all members in every build, for who else draws a code does not depend on who was touched. A
-- code drawn before is replaced by a number behind a zero, which no drawn code contains.
with members as (
    select * from {{ ref('int_loyalty__members') }}
),

draws as (
    select
        tenant_id,
        customer_id,
        joined_at,
        drawn_code,
        row_number() over (
            partition by tenant_id, drawn_code
            order by joined_at, customer_id
        ) as draw
    from members
),

late_draws as (
    select
        tenant_id,
        customer_id,
        row_number() over (partition by tenant_id order by joined_at, customer_id) as late_number
    from draws
    where draw > 1
),

final as (
    select
        draws.tenant_id,
        draws.customer_id,
        coalesce(
            '0' || lpad(cast(late_draws.late_number as {{ dbt.type_string() }}), 7, '0'),
            draws.drawn_code
        ) as referral_code
    from draws
    left join late_draws
        on
            draws.tenant_id = late_draws.tenant_id
            and draws.customer_id = late_draws.customer_id
)

select * from final
