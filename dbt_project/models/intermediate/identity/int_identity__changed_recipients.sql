{{ config(unique_key=['tenant_id', 'customer_id']) }}

{%- set enrolments_before =
    none if is_whole_derivation() else previous('int_winback__enrolments') -%}
-- Customers about whose enrolments or messages the outbox says otherwise than in the build before,
-- under the ids of then and now. Empty when everything is derived anew.
-- depends_on: {{ ref('int_winback__recorded') }}
{% if enrolments_before -%}
    with recorded as (
        select * from {{ ref('int_winback__recorded') }}
    ),

    enrolments_before as (
        select * from {{ enrolments_before }}
    ),

    redirects_before as (
        select * from {{ previous('customer_redirects') }}
    ),

    differing as (
        select
            coalesce(recorded.tenant_id, enrolments_before.tenant_id) as tenant_id,
            recorded.enrolled_customer_id,
            enrolments_before.customer_id
        from recorded
        full outer join enrolments_before
            on
                recorded.tenant_id = enrolments_before.tenant_id
                and recorded.message_id = enrolments_before.message_id
        where
            recorded.enrolled_customer_id is distinct from enrolments_before.enrolled_customer_id
            or recorded.enrolled_at is distinct from enrolments_before.enrolled_at
            or recorded.is_held_out is distinct from enrolments_before.is_held_out
            or recorded.sent_at is distinct from enrolments_before.sent_at
            or recorded.skipped_at is distinct from enrolments_before.skipped_at
            or recorded.skip_reason is distinct from enrolments_before.skip_reason
    ),

    final as (
        select
            tenant_id,
            customer_id
        from differing
        where customer_id is not null

        union

        select
            tenant_id,
            enrolled_customer_id as customer_id
        from differing
        where enrolled_customer_id is not null

        union

        select
            differing.tenant_id,
            redirects_before.customer_id
        from differing
        inner join redirects_before
            on
                differing.tenant_id = redirects_before.tenant_id
                and differing.enrolled_customer_id = redirects_before.old_customer_id
    )

    select * from final
{%- else -%}
    select
        cast(null as {{ dbt.type_string() }}) as tenant_id,
        cast(null as {{ dbt.type_string() }}) as customer_id
    where false
{%- endif %}
