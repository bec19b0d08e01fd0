"""What sending and forgetting leave behind, as the models of the next build read it."""

import dagster as dg

RECORDS = [
    dg.AssetSpec(
        ["outbox", "campaign_enrolments"],
        group_name="outbox",
        description="Who was enrolled in win-back campaigns so far.",
        kinds={"postgres"},
    ),
    dg.AssetSpec(
        ["outbox", "deliveries"],
        group_name="outbox",
        description="What became of every message so far.",
        kinds={"postgres"},
    ),
    dg.AssetSpec(
        ["ops", "shared_identifiers"],
        group_name="outbox",
        description="What people who were forgotten shared with many others.",
        kinds={"postgres"},
    ),
]
"""Apart from the assets that send: the models of a build read what was sent before it."""
