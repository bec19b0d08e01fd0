{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    unique_key=['tenant_id', 'customer_id'],
    indexes=[
        {'columns': ['tenant_id', 'customer_id'], 'unique': true},
        {'columns': ['tenant_id', 'referral_code']},
    ],
) }}

-- Over all members in every build, for who else draws a code does not depend on who was touched. A
-- code drawn before is replaced by a number behind a zero, which no drawn code contains.
with members as (
    select * from {{ ref('int_loyalty__members') }}
),

hashes as (
    select
        tenant_id,
        customer_id,
        joined_at,
        {{ hash_id(['tenant_id', 'customer_id']) }} as code_hash
    from members
),

drawn_codes as (
    select
        tenant_id,
        customer_id,
        joined_at,
        {{ referral_code('code_hash') }} as drawn_code
    from hashes
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
        ) > 1 as is_taken
    from drawn_codes
),

final as (
    select
        tenant_id,
        customer_id,
        case
            when is_taken
                then
                    '0' || lpad(
                        cast(
                            row_number() over (
                                partition by tenant_id, is_taken
                                order by joined_at, customer_id
                            ) as {{ dbt.type_string() }}
                        ), 7, '0'
                    )
            else drawn_code
        end as referral_code
    from draws
)

select * from final
