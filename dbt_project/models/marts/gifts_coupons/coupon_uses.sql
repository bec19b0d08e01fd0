{{ config(
    unique_key=['tenant_id', 'order_id', 'code'],
    indexes=[
        {'columns': ['tenant_id', 'customer_id']},
        {'columns': ['tenant_id', 'coupon_id']},
    ],
) }}

-- Only what would be valid without limits, on an order that counts, uses a coupon up. Until a
-- coupon is used up, nothing was refused for it, so a person's first uses are those within the
-- personal limit; and once it is used up it stays so, whatever comes after. Hence one count per
-- person, and then one count of what that leaves, give every verdict.
with uses as (
    select * from {{ ref('int_gifts_coupons__uses') }}
),

with_wanted as (
    select
        uses.*,
        coupon_id is not null
        and reason_before_limit is null
        and reason_after_limit is null
        and not is_depleted as is_wanted
    from uses
),

counted_per_person as (
    select
        with_wanted.*,
        coalesce(
            sum(case when is_wanted and is_counted then 1 else 0 end) over (
                partition by tenant_id, coupon_id, customer_id
                order by ordered_at, order_id, code
                rows between unbounded preceding and 1 preceding
            ),
            0
        ) as had_before
    from with_wanted
),

within_personal_limit as (
    select
        counted_per_person.*,
        is_wanted
        and coalesce(had_before < usage_limit_per_customer, true) as is_within_personal_limit
    from counted_per_person
),

counted_per_coupon as (
    select
        within_personal_limit.*,
        coalesce(
            sum(case when is_within_personal_limit and is_counted then 1 else 0 end) over (
                partition by tenant_id, coupon_id
                order by ordered_at, order_id, code
                rows between unbounded preceding and 1 preceding
            ),
            0
        ) as used_before
    from within_personal_limit
),

final as (
    select
        tenant_id,
        order_id,
        code,
        coupon_id,
        customer_id,
        ordered_at as used_at,
        is_counted,
        case
            when reason_before_limit is not null then reason_before_limit
            when is_depleted or used_before >= usage_limit then 'usage_limit_reached'
            when reason_after_limit is not null then reason_after_limit
            when not is_within_personal_limit then 'personal_limit_reached'
            else 'valid'
        end as verdict,
        discount_amount,
        net_amount,
        currency
    from counted_per_coupon
)

select * from final
