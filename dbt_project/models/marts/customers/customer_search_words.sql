{{ config(
    unique_key=['tenant_id', 'customer_id', 'word'],
    meta={'within': 'int_customers__touched'},
    indexes=[{'columns': ['tenant_id', 'word text_pattern_ops', 'customer_id']}],
) }}

-- No mart changes while an order lacks its rate, so this one too waits for that test.
-- depends_on: {{ ref('int_orders__rated') }}
with contact_points as (
    select * from {{ ref('int_customers__contact_points') }}
),

identifiers as (
    select * from {{ ref('int_customers__identifiers') }}
),

words_of_names as (
    select
        contact_points.tenant_id,
        contact_points.customer_id,
        words.word
    from contact_points
    -- people without a name are found by their e-mail or phone
    cross join
        lateral {{ text_items(
            "replace(lower(concat_ws(' ', contact_points.first_name, contact_points.last_name)), ' ', ',')"
        ) }} as words (word, place)
),

addresses as (
    select
        tenant_id,
        customer_id,
        lower(identifier) as word
    from identifiers
    where identifier_type in ('email', 'phone')
),

every_word as (
    select * from words_of_names
    where word <> ''

    union distinct

    select * from addresses
),

final as (
    select
        tenant_id,
        customer_id,
        word
    from every_word
)

select * from final
