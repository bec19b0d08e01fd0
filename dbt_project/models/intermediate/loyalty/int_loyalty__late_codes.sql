{{ config(unique_key=['tenant_id', 'customer_id']) }}

-- Over all members in every build, for who else draws a code does not depend on who was touched. A
-- code drawn before is replaced by a number behind a zero, which no drawn code contains.
with members as (
    select * from {{ ref('int_loyalty__members') }}
),

shared_codes as (
    select
        tenant_id,
        drawn_code
    from members
    group by tenant_id, drawn_code
    having count(*) > 1
),

draws as (
    select
        members.tenant_id,
        members.customer_id,
        members.joined_at,
        row_number() over (
            partition by members.tenant_id, members.drawn_code
            order by members.joined_at, members.customer_id
        ) as draw
    from members
    inner join shared_codes
        on
            members.tenant_id = shared_codes.tenant_id
            and members.drawn_code = shared_codes.drawn_code
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
        tenant_id,
        customer_id,
        '0' || lpad(cast(late_number as {{ dbt.type_string() }}), 7, '0') as referral_code
    from late_draws
)

select * from final
