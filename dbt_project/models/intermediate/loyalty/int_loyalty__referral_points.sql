{{ config(unique_key=['tenant_id', 'source_id']) }}

{%- set share -%}
    tenant_settings.referral_points_percent / 100.0 * tenant_settings.points_per_unit
{%- endset -%}
-- A share of the friend's first order, and of what was taken back of it, for the referrers that
-- this build derives anew.
with referrals as (
    select * from {{ ref('int_loyalty__referrals') }}
    where status = 'converted'
),

touched as (
    select * from {{ ref('int_customers__touched') }}
),

first_orders as (
    select * from {{ ref('int_loyalty__first_orders') }}
),

tenant_settings as (
    select * from {{ ref('int_tenants__settings') }}
),

shares as (
    select
        referrals.tenant_id,
        referrals.referrer_id as customer_id,
        referrals.referral_id,
        first_orders.movement_id,
        first_orders.movement_type,
        greatest(first_orders.occurred_at, referrals.used_at) as occurred_at,
        case
            when first_orders.movement_type = 'order' then 0
            else
                floor(
                    (first_orders.order_amount - first_orders.taken_before_amount) * {{ share }}
                )
        end as points_before,
        floor((first_orders.order_amount - first_orders.taken_after_amount) * {{ share }})
            as points_after
    from referrals
    -- only the referrers that are derived anew
    inner join touched
        on
            referrals.tenant_id = touched.tenant_id
            and referrals.referrer_id = touched.customer_id
    inner join first_orders
        on
            referrals.tenant_id = first_orders.tenant_id
            and referrals.friend_id = first_orders.customer_id
    inner join tenant_settings on referrals.tenant_id = tenant_settings.tenant_id
),

final as (
    select
        tenant_id,
        customer_id,
        referral_id,
        case when movement_type = 'order' then 'referral' else 'referral_taken_back' end
            as event_type,
        referral_id || ':' || movement_id as source_id,
        cast(points_after - points_before as bigint) as points,
        occurred_at
    from shares
    where points_after <> points_before
)

select * from final
