{{ config(unique_key=['tenant_id', 'order_id', 'code']) }}

-- Over all orders with a code in every build, for a limit counts the orders of everybody. The code
-- of a reward is no coupon's: `reward_redemptions` follows it.
with order_codes as (
    select * from {{ ref('int_gifts_coupons__order_codes') }}
),

coupons as (
    select * from {{ ref('stg_gifts_coupons__coupons') }}
),

rewards_granted as (
    select * from {{ ref('stg_loyalty__redemption_decisions') }}
    where decision = 'accepted'
),

restrictions as (
    select * from {{ ref('int_gifts_coupons__restrictions') }}
),

pieces as (
    select * from {{ ref('int_gifts_coupons__pieces') }}
),

-- A code that came back names several coupons: the one whose dates hold the order is meant, else
-- the one that changed last. What the source says of its state holds from that change on, but a
-- draft never held.
matched_codes as (
    select
        order_codes.*,
        coupons.coupon_id,
        case
            when
                coupons.status = 'draft'
                or order_codes.ordered_at >= coalesce(coupons.updated_at, order_codes.ordered_at)
                then coupons.status
        end as status,
        coupons.starts_at,
        coupons.expires_at,
        coupons.usage_limit,
        coupons.usage_limit_per_customer,
        coupons.minimum_purchase_amount,
        greatest(
            coupons.minimum_quantity,
            case when coupons.discount_type = 'buy_x_get_y' then coupons.buy_quantity end
        ) as minimum_quantity,
        coupons.is_first_time_only,
        row_number() over (
            partition by order_codes.order_id, order_codes.tenant_id, order_codes.code
            order by
                case
                    when order_codes.ordered_at < coupons.starts_at then 2
                    when order_codes.ordered_at >= coupons.expires_at then 2
                    else 1
                end,
                coupons.updated_at desc nulls last,
                coupons.coupon_id
        ) as choice
    from order_codes
    left join coupons
        on
            order_codes.tenant_id = coupons.tenant_id
            and order_codes.code = coupons.code
    where not exists (
        select 1
        from rewards_granted
        where
            order_codes.tenant_id = rewards_granted.tenant_id
            and order_codes.code = rewards_granted.code
    )
),

fitting_pieces as (
    select distinct
        pieces.tenant_id,
        pieces.order_id,
        restrictions.coupon_id
    from pieces
    -- keeps only what a coupon is restricted to
    inner join restrictions
        on
            pieces.tenant_id = restrictions.tenant_id
            and case
                when restrictions.restricted_to = 'product' then pieces.product_id
                else pieces.collection
            end = restrictions.restriction
),

restricted_coupons as (
    select distinct
        tenant_id,
        coupon_id
    from restrictions
),

final as (
    select
        matched_codes.tenant_id,
        matched_codes.order_id,
        matched_codes.code,
        matched_codes.coupon_id,
        matched_codes.customer_id,
        matched_codes.ordered_at,
        matched_codes.is_counted,
        matched_codes.usage_limit,
        matched_codes.usage_limit_per_customer,
        coalesce(matched_codes.status = 'depleted', false) as is_depleted,
        case
            when matched_codes.coupon_id is null then 'unknown_code'
            when matched_codes.status in ('draft', 'paused') then 'not_active'
            when matched_codes.ordered_at < matched_codes.starts_at then 'not_yet_started'
            when
                matched_codes.ordered_at >= matched_codes.expires_at
                or matched_codes.status = 'expired'
                then 'expired'
        end as reason_before_limit,
        case
            when matched_codes.purchase_amount < matched_codes.minimum_purchase_amount
                then 'minimum_purchase_not_met'
            when matched_codes.piece_count < matched_codes.minimum_quantity
                then 'minimum_quantity_not_met'
            when matched_codes.is_first_time_only and not matched_codes.is_first_order
                then 'not_first_order'
            when restricted_coupons.coupon_id is not null and fitting_pieces.coupon_id is null
                then 'restricted'
        end as reason_after_limit,
        matched_codes.discount_amount,
        matched_codes.net_amount,
        matched_codes.currency
    from matched_codes
    left join restricted_coupons
        on
            matched_codes.tenant_id = restricted_coupons.tenant_id
            and matched_codes.coupon_id = restricted_coupons.coupon_id
    left join fitting_pieces
        on
            matched_codes.tenant_id = fitting_pieces.tenant_id
            and matched_codes.order_id = fitting_pieces.order_id
            and matched_codes.coupon_id = fitting_pieces.coupon_id
    where matched_codes.choice = 1
)

select * from final
