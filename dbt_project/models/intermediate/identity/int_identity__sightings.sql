-- The customer object of a Shopify order and a purchase seen only as a touchpoint are further
-- evidence about records already counted once, so they add nothing to seen_count.
with shopify_orders as (
    select * from {{ ref('stg_shopify__orders') }}
),

eventbrite_orders as (
    select * from {{ ref('stg_eventbrite__orders') }}
),

humanitix_orders as (
    select * from {{ ref('stg_humanitix__orders') }}
),

shop_orders as (
    select * from {{ ref('stg_shops__orders') }}
),

shop_visits as (
    select * from {{ ref('stg_shops__visits') }}
),

touchpoints as (
    select * from {{ ref('stg_touchpoints__touchpoints') }}
),

purchases as (
    select * from {{ ref('int_orders__touchpoint_purchases') }}
),

leads as (
    select * from {{ ref('stg_leads__leads') }}
),

klaviyo_profiles as (
    select * from {{ ref('stg_klaviyo__profiles') }}
),

contacts as (
    select * from {{ ref('stg_clients__contacts') }}
),

seen as (
    select
        tenant_id,
        'shopify_orders' as source,
        email,
        phone,
        shopify_customer_id,
        cast(null as {{ dbt.type_string() }}) as klaviyo_profile_id,
        cast(null as {{ dbt.type_string() }}) as contact,
        cast(null as {{ dbt.type_string() }}) as lead,
        cast(null as {{ dbt.type_string() }}) as shop_phone,
        cast(null as {{ dbt.type_string() }}) as anonymous_id,
        'shopify:' || order_id as order_reference,
        first_name,
        last_name,
        min(order_id) as sample_record_id,
        min(created_at) as first_seen_at,
        max(created_at) as last_seen_at,
        count(*) as seen_count,
        min(first_load_id) as first_load_id
    from shopify_orders
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13

    union all

    select
        tenant_id,
        'shopify_orders' as source,
        customer_email as email,
        customer_phone as phone,
        shopify_customer_id,
        cast(null as {{ dbt.type_string() }}) as klaviyo_profile_id,
        cast(null as {{ dbt.type_string() }}) as contact,
        cast(null as {{ dbt.type_string() }}) as lead,
        cast(null as {{ dbt.type_string() }}) as shop_phone,
        cast(null as {{ dbt.type_string() }}) as anonymous_id,
        cast(null as {{ dbt.type_string() }}) as order_reference,
        first_name,
        last_name,
        min(order_id) as sample_record_id,
        min(created_at) as first_seen_at,
        max(created_at) as last_seen_at,
        0 as seen_count,
        min(first_load_id) as first_load_id
    from shopify_orders
    where shopify_customer_id is not null
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13

    union all

    select
        tenant_id,
        'eventbrite_orders' as source,
        email,
        cast(null as {{ dbt.type_string() }}) as phone,
        cast(null as {{ dbt.type_string() }}) as shopify_customer_id,
        cast(null as {{ dbt.type_string() }}) as klaviyo_profile_id,
        cast(null as {{ dbt.type_string() }}) as contact,
        cast(null as {{ dbt.type_string() }}) as lead,
        cast(null as {{ dbt.type_string() }}) as shop_phone,
        cast(null as {{ dbt.type_string() }}) as anonymous_id,
        'eventbrite:' || order_id as order_reference,
        first_name,
        last_name,
        min(order_id) as sample_record_id,
        min(created_at) as first_seen_at,
        max(created_at) as last_seen_at,
        count(*) as seen_count,
        min(first_load_id) as first_load_id
    from eventbrite_orders
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13

    union all

    select
        tenant_id,
        'humanitix_orders' as source,
        email,
        phone,
        cast(null as {{ dbt.type_string() }}) as shopify_customer_id,
        cast(null as {{ dbt.type_string() }}) as klaviyo_profile_id,
        cast(null as {{ dbt.type_string() }}) as contact,
        cast(null as {{ dbt.type_string() }}) as lead,
        cast(null as {{ dbt.type_string() }}) as shop_phone,
        cast(null as {{ dbt.type_string() }}) as anonymous_id,
        'humanitix:' || order_id as order_reference,
        first_name,
        last_name,
        min(order_id) as sample_record_id,
        min(created_at) as first_seen_at,
        max(created_at) as last_seen_at,
        count(*) as seen_count,
        min(first_load_id) as first_load_id
    from humanitix_orders
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13

    union all

    select
        tenant_id,
        'shop_orders' as source,
        email,
        phone,
        cast(null as {{ dbt.type_string() }}) as shopify_customer_id,
        cast(null as {{ dbt.type_string() }}) as klaviyo_profile_id,
        cast(null as {{ dbt.type_string() }}) as contact,
        cast(null as {{ dbt.type_string() }}) as lead,
        shop_id || ':' || phone as shop_phone,
        cast(null as {{ dbt.type_string() }}) as anonymous_id,
        'shop:' || order_id as order_reference,
        {{ first_word('customer_name') }} as first_name,
        {{ other_words('customer_name') }} as last_name,
        min(order_id) as sample_record_id,
        min(created_at) as first_seen_at,
        max(created_at) as last_seen_at,
        count(*) as seen_count,
        min(first_load_id) as first_load_id
    from shop_orders
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13

    union all

    select
        tenant_id,
        'shop_visits' as source,
        email,
        phone,
        cast(null as {{ dbt.type_string() }}) as shopify_customer_id,
        cast(null as {{ dbt.type_string() }}) as klaviyo_profile_id,
        cast(null as {{ dbt.type_string() }}) as contact,
        cast(null as {{ dbt.type_string() }}) as lead,
        shop_id || ':' || phone as shop_phone,
        cast(null as {{ dbt.type_string() }}) as anonymous_id,
        cast(null as {{ dbt.type_string() }}) as order_reference,
        cast(null as {{ dbt.type_string() }}) as first_name,
        cast(null as {{ dbt.type_string() }}) as last_name,
        min(visit_id) as sample_record_id,
        min(accessed_at) as first_seen_at,
        max(accessed_at) as last_seen_at,
        count(*) as seen_count,
        min(first_load_id) as first_load_id
    from shop_visits
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13

    union all

    select
        tenant_id,
        'touchpoints' as source,
        email,
        phone,
        shopify_customer_id,
        klaviyo_profile_id,
        cast(null as {{ dbt.type_string() }}) as contact,
        cast(null as {{ dbt.type_string() }}) as lead,
        cast(null as {{ dbt.type_string() }}) as shop_phone,
        anonymous_id,
        cast(null as {{ dbt.type_string() }}) as order_reference,
        cast(null as {{ dbt.type_string() }}) as first_name,
        cast(null as {{ dbt.type_string() }}) as last_name,
        min(touchpoint_id) as sample_record_id,
        min(occurred_at) as first_seen_at,
        max(occurred_at) as last_seen_at,
        count(*) as seen_count,
        min(first_load_id) as first_load_id
    from touchpoints
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13

    union all

    select
        tenant_id,
        'touchpoints' as source,
        email,
        phone,
        shopify_customer_id,
        klaviyo_profile_id,
        cast(null as {{ dbt.type_string() }}) as contact,
        cast(null as {{ dbt.type_string() }}) as lead,
        cast(null as {{ dbt.type_string() }}) as shop_phone,
        anonymous_id,
        order_id as order_reference,
        cast(null as {{ dbt.type_string() }}) as first_name,
        cast(null as {{ dbt.type_string() }}) as last_name,
        min(touchpoint_id) as sample_record_id,
        min(occurred_at) as first_seen_at,
        max(occurred_at) as last_seen_at,
        0 as seen_count,
        min(first_load_id) as first_load_id
    from purchases
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13

    union all

    select
        tenant_id,
        'leads' as source,
        email,
        phone,
        cast(null as {{ dbt.type_string() }}) as shopify_customer_id,
        cast(null as {{ dbt.type_string() }}) as klaviyo_profile_id,
        cast(null as {{ dbt.type_string() }}) as contact,
        lead_id as lead,
        cast(null as {{ dbt.type_string() }}) as shop_phone,
        cast(null as {{ dbt.type_string() }}) as anonymous_id,
        cast(null as {{ dbt.type_string() }}) as order_reference,
        first_name,
        last_name,
        min(lead_id) as sample_record_id,
        min(captured_at) as first_seen_at,
        max(captured_at) as last_seen_at,
        count(*) as seen_count,
        min(first_load_id) as first_load_id
    from leads
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13

    union all

    select
        tenant_id,
        'klaviyo_profiles' as source,
        email,
        phone,
        cast(null as {{ dbt.type_string() }}) as shopify_customer_id,
        klaviyo_profile_id,
        cast(null as {{ dbt.type_string() }}) as contact,
        cast(null as {{ dbt.type_string() }}) as lead,
        cast(null as {{ dbt.type_string() }}) as shop_phone,
        cast(null as {{ dbt.type_string() }}) as anonymous_id,
        cast(null as {{ dbt.type_string() }}) as order_reference,
        first_name,
        last_name,
        min(klaviyo_profile_id) as sample_record_id,
        min(created_at) as first_seen_at,
        max(created_at) as last_seen_at,
        count(*) as seen_count,
        min(first_load_id) as first_load_id
    from klaviyo_profiles
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13

    union all

    select
        tenant_id,
        'contacts' as source,
        email,
        cast(null as {{ dbt.type_string() }}) as phone,
        cast(null as {{ dbt.type_string() }}) as shopify_customer_id,
        cast(null as {{ dbt.type_string() }}) as klaviyo_profile_id,
        client_id as contact,
        cast(null as {{ dbt.type_string() }}) as lead,
        cast(null as {{ dbt.type_string() }}) as shop_phone,
        cast(null as {{ dbt.type_string() }}) as anonymous_id,
        cast(null as {{ dbt.type_string() }}) as order_reference,
        {{ first_word('client_name') }} as first_name,
        {{ other_words('client_name') }} as last_name,
        min(client_id) as sample_record_id,
        min(updated_at) as first_seen_at,
        max(updated_at) as last_seen_at,
        count(*) as seen_count,
        min(first_load_id) as first_load_id
    from contacts
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13
),

final as (
    select
        {{ hash_id([
            'tenant_id', 'source', 'email', 'phone', 'shopify_customer_id', 'klaviyo_profile_id',
            'contact', 'lead', 'shop_phone', 'anonymous_id', 'order_reference', 'first_name',
            'last_name',
        ]) }} as sighting_id,
        seen.*
    from seen
)

select * from final
