{{ config(unique_key=['tenant_id', 'customer_id', 'scored_at']) }}

-- The one place where points are given. A span of standing facts is cut where the latest purchase
-- grows older than a range of recency: each piece has one score from its first instant on.
with spans as (
    select * from {{ ref('int_scoring__spans') }}
),

-- A range between two whole numbers of days never holds anybody's.
recency as (
    select * from {{ ref('int_scoring__rfm_thresholds') }}
    where
        dimension = 'recency'
        and coalesce(ceil(min_value) < ceil(max_value), true)
),

frequency as (
    select * from {{ ref('int_scoring__rfm_thresholds') }}
    where dimension = 'frequency'
),

monetary as (
    select * from {{ ref('int_scoring__rfm_thresholds') }}
    where dimension = 'monetary'
),

lead_bands as (
    select * from {{ ref('int_scoring__lead_bands') }}
),

tenant_settings as (
    select * from {{ ref('int_tenants__settings') }}
),

{# Days are whole 24-hour periods, so a range begins after the first whole number of days in it. -#}
{% set range_started_at = add_days('spans.last_purchase_at', 'ceil(recency.min_value)') -%}
{% set range_ended_at = add_days('spans.last_purchase_at', 'ceil(recency.max_value)') -%}
-- Who never bought has waited for ever: that is the range without an upper end.
points_per_piece as (
    select
        spans.tenant_id,
        spans.customer_id,
        greatest(spans.started_at, {{ range_started_at }}) as scored_at,
        recency.points as recency_score,
        frequency.points as frequency_score,
        monetary.points as monetary_score
    from spans
    left join recency
        on
            spans.tenant_id = recency.tenant_id
            and case
                when spans.last_purchase_at is null then recency.max_value is null
                else
                    (
                        recency.min_value is null
                        or spans.ended_at is null
                        or {{ range_started_at }} < spans.ended_at
                    )
                    and (
                        recency.max_value is null
                        or {{ range_ended_at }} > spans.started_at
                    )
            end
    left join frequency
        on
            spans.tenant_id = frequency.tenant_id
            and (frequency.min_value is null or spans.order_count >= frequency.min_value)
            and (frequency.max_value is null or spans.order_count < frequency.max_value)
    left join monetary
        on
            spans.tenant_id = monetary.tenant_id
            and (monetary.min_value is null or spans.lifetime_value >= monetary.min_value)
            and (monetary.max_value is null or spans.lifetime_value < monetary.max_value)
),

scores_per_piece as (
    select
        points_per_piece.tenant_id,
        points_per_piece.customer_id,
        points_per_piece.scored_at,
        points_per_piece.recency_score,
        points_per_piece.frequency_score,
        points_per_piece.monetary_score,
        cast(
            tenant_settings.recency_weight * points_per_piece.recency_score
            + tenant_settings.frequency_weight * points_per_piece.frequency_score
            + tenant_settings.monetary_weight * points_per_piece.monetary_score
            as integer
        ) as lead_score
    from points_per_piece
    left join tenant_settings on points_per_piece.tenant_id = tenant_settings.tenant_id
    where {{ visible('points_per_piece.scored_at') }}
),

final as (
    select
        scores_per_piece.tenant_id,
        scores_per_piece.customer_id,
        scores_per_piece.scored_at,
        scores_per_piece.recency_score,
        scores_per_piece.frequency_score,
        scores_per_piece.monetary_score,
        scores_per_piece.lead_score,
        lead_bands.lead_band
    from scores_per_piece
    left join lead_bands
        on
            scores_per_piece.tenant_id = lead_bands.tenant_id
            and scores_per_piece.lead_score between lead_bands.min_score and lead_bands.max_score
)

select * from final
