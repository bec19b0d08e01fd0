"""Leads, newsletter profiles, consent, hand-kept segments and requests to be forgotten."""

from __future__ import annotations

import numpy as np

from orchestration.sample.people import (
    EMAIL,
    KLAVIYO,
    PHONE,
    VISITOR,
    People,
    written_email,
    written_phone,
)
from orchestration.sample.world import AS_OF, AURORA, DAY, LAST, utc
from orchestration.sample.writers import Landing

_LEAD_SOURCES = ("quiz", "newsletter", "webinar", "fair")
_JUNK_EMAILS = ("test@example.com", "noreply@example.com", "n/a")
_JUNK_PHONES = ("00000000000", "1111111111", "n/a")
_FORGOTTEN = (3, 11)


def write_marketing(people: People, landing: Landing) -> None:
    """Write what the marketing tools of a tenant know of these people."""
    if people.tenant is AURORA:
        _write_leads(people, landing)
        _write_segment_members(people, landing)
    _write_profiles(people, landing)


def _write_leads(people: People, landing: Landing) -> None:
    random = people.stream("leads")
    chances = random.random(len(people)).tolist()
    for person in np.flatnonzero(people.lead_at < AS_OF).tolist():
        number, at = int(people.number[person]), int(people.lead_at[person])
        chance = chances[person]
        if chance < 0.2:
            # Captured on the site only: the touchpoint stands for it.
            continue
        phone = None
        if people.has_phone[person] and chance < 0.5:
            phone = written_phone(people.tenant, people.phone[person], number + 1)
            people.truth[person, PHONE] = True
        people.truth[person, EMAIL] = True
        lead = (
            f"lead-{number:08d}",
            written_email(people.email[person], number + 7),
            people.first_name[person],
            people.last_name[person],
            phone,
            _LEAD_SOURCES[number % len(_LEAD_SOURCES)],
            utc(at),
        )
        landing.add("aurora", "leads", at, lead)
        if chance > 0.985:
            landing.add("aurora", "leads", at, lead)
        if chance > 0.99:
            junk = number % len(_JUNK_EMAILS)
            landing.add(
                "aurora",
                "leads",
                at,
                (
                    f"lead-junk-{number:08d}",
                    _JUNK_EMAILS[junk],
                    "Test",
                    None,
                    _JUNK_PHONES[number // 3 % len(_JUNK_PHONES)],
                    "newsletter",
                    utc(at),
                ),
            )


def _write_profiles(people: People, landing: Landing) -> None:
    """Write Klaviyo profiles, newer versions of some, and the consent changes behind them."""
    random = people.stream("klaviyo")
    tenant = people.tenant.tenant_id
    chances = random.random((len(people), 3)).tolist()
    is_known = people.has_profile & (people.known_at < AS_OF) & (people.archetype != VISITOR)
    for person in np.flatnonzero(is_known).tolist():
        number = int(people.number[person])
        created = int(people.known_at[person])
        by_email, by_sms, later_chance = chances[person]
        email = people.email[person]
        phone = None
        if people.has_phone[person] and by_sms < 0.5:
            phone = written_phone(people.tenant, people.phone[person], 1)
            people.truth[person, PHONE] = True
        people.truth[person, EMAIL] = True
        people.truth[person, KLAVIYO] = True
        consent = "subscribed" if by_email < 0.78 else "never_subscribed"
        sms = "subscribed" if phone and by_sms < 0.2 else "never_subscribed"
        profile = {
            "id": people.klaviyo_id(person),
            "email": written_email(email, number + 11),
            "phone_number": phone,
            "first_name": people.first_name[person],
            "last_name": people.last_name[person],
            "email_consent": consent,
            "email_consent_at": utc(created) if consent == "subscribed" else None,
            "sms_consent": sms,
            "sms_consent_at": utc(created) if sms == "subscribed" else None,
            "email_suppressed": "false",
            "created": utc(created),
            "updated": utc(created),
        }
        landing.add_mapping(tenant, "klaviyo_profiles", created, profile)
        at = created + int(later_chance * 1_000) % 200 * DAY + 3_600
        if at >= AS_OF or later_chance > 0.30:
            continue
        changes: dict[str, str | None] = {"last_name": people.last_name[person].upper()}
        if later_chance < 0.10 and consent == "subscribed":
            changes = {"email_consent": "unsubscribed", "email_consent_at": utc(at)}
            _consent_change(landing, tenant, number, 1, email, None, "email", False, at)
            if later_chance < 0.02 and at + 30 * DAY < AS_OF:
                # Came back through the preference page; the profile export has not noticed.
                again = at + 30 * DAY
                _consent_change(landing, tenant, number, 2, email, None, "email", True, again)
        elif later_chance < 0.13:
            changes = {"email_suppressed": "true"}
        elif later_chance < 0.16 and phone and sms == "subscribed":
            changes = {"sms_consent": "unsubscribed", "sms_consent_at": utc(at)}
            _consent_change(landing, tenant, number, 1, None, phone, "sms", False, at)
        newer = {**profile, **changes, "updated": utc(at)}
        landing.add_mapping(tenant, "klaviyo_profiles", at, newer)


def _consent_change(
    landing: Landing,
    tenant: str,
    number: int,
    ordinal: int,
    email: str | None,
    phone: str | None,
    channel: str,
    subscribed: bool,
    at: int,
) -> None:
    landing.add(
        tenant,
        "consent_changes",
        at,
        (
            f"consent-{number:08d}-{ordinal}",
            email,
            phone,
            channel,
            "true" if subscribed else "false",
            "preference page" if subscribed else "unsubscribe link",
            utc(at),
        ),
    )


def _write_segment_members(people: People, landing: Landing) -> None:
    """Write stays in the two hand-kept segments: ended, repeated, and ending after the sample."""
    for person in np.flatnonzero((people.known_at < AS_OF) & (people.number % 60 == 5)).tolist():
        number = int(people.number[person])
        email = written_email(people.email[person], number)
        people.truth[person, EMAIL] = True
        segment = "press-list" if number // 60 % 4 == 0 else "founders-circle"
        added = min(int(people.known_at[person]) + 5 * DAY, LAST)
        removed = [None, added + 20 * DAY, AS_OF + 45 * DAY][number // 60 % 3]
        stays = [(added, removed)]
        if removed is not None and removed + 10 * DAY < AS_OF:
            stays.append((removed + 10 * DAY, None))
        for start, end in stays:
            landing.add(
                "aurora",
                "static_segment_members",
                start,
                (segment, email, None, utc(start), None if end is None else utc(end)),
            )


def write_erasures(people: People, landing: Landing) -> None:
    """Write the requests of the few people of a tenant who want to be forgotten."""
    tenant = people.tenant
    for person in np.flatnonzero(np.isin(people.number, _FORGOTTEN)).tolist():
        by_phone = tenant.tenant_id == "kente"
        at = LAST - (5 + int(people.number[person])) * DAY
        landing.add(
            tenant.tenant_id,
            "erasure_requests",
            at,
            (
                f"erasure-{people.number[person]}",
                None if by_phone else people.email[person],
                written_phone(tenant, people.phone[person], 2) if by_phone else None,
                utc(at),
            ),
        )
