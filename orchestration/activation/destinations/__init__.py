"""The systems that take messages, one module for each.

A module is pure: it turns messages into requests and answers into outcomes. Who calls, how often
and how fast is the business of `caller.py` and `send.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from orchestration.activation.destinations import klaviyo, shopify, webhook
from orchestration.activation.destinations.base import Destination

DESTINATIONS: Mapping[str, Destination] = MappingProxyType(
    {one.name: one for one in (klaviyo.DESTINATION, shopify.DESTINATION, webhook.DESTINATION)}
)
