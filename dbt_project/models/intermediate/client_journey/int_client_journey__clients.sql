-- No mart changes while an order lacks its rate, so what is made from this waits for that test.
-- depends_on: {{ ref('int_orders__rated') }}
-- A client is a contact. Who the contact id belongs to is the client's customer; an id that is
-- blocked names nobody, so such a contact is no client.
with contacts as (
    {{ owned_rows('stg_clients__contacts', 'contacts') }}
),

contact_ids as (
    select * from {{ ref('int_customers__identifiers') }}
    where identifier_type = 'contact'
),

final as (
    select
        contacts.tenant_id,
        contacts.client_id,
        contact_ids.customer_id,
        contacts.client_name,
        contacts.email,
        contacts.ai_score,
        contacts.status,
        contacts.updated_at
    from contacts
    inner join contact_ids
        on
            contacts.tenant_id = contact_ids.tenant_id
            and contacts.client_id = contact_ids.identifier
)

select * from final
