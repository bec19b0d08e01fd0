"""A webhook of your own: one POST per message, signed so that the receiver can trust it.

The receiver should refuse what is not signed, or was signed too long ago, and take each message id
once.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from orchestration.activation.destinations.base import (
    ACCEPTED,
    Answer,
    Destination,
    Outcome,
    Request,
    judge,
)
from orchestration.activation.message import Message
from orchestration.activation.rates import Limits

ID_HEADER, TIME_HEADER = "x-journey-message-id", "x-journey-timestamp"
SIGNATURE_HEADER = "x-journey-signature"


def authorise(secret: str, request: Request, at: datetime) -> Mapping[str, str]:
    """The time in Unix seconds, and the signature over time, message id and body."""
    timestamp = str(int(at.timestamp()))
    signature = sign(secret, timestamp, request.headers[ID_HEADER], request.body)
    return {TIME_HEADER: timestamp, SIGNATURE_HEADER: f"sha256={signature}"}


def sign(secret: str, timestamp: str, message_id: str, body: bytes) -> str:
    """HMAC-SHA256, in hexadecimal, over `timestamp.message_id.body`."""
    signed = b".".join((timestamp.encode(), message_id.encode(), body))
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def to_request(message: Message) -> Request:
    """The payload as it is."""
    headers = {"content-type": "application/json", ID_HEADER: message.message_id}
    return Request("POST", "", "webhook", headers, message.payload.encode())


def read(_message: Message, _request: Request, answer: Answer) -> Outcome | Request:
    """Every answer of 2xx is a receipt."""
    return judge(answer) or ACCEPTED


DESTINATION = Destination(
    name="webhook",
    url_variable="WEBHOOK_URL",
    default_url=None,
    secret_variable="WEBHOOK_SECRET",
    limits={"webhook": Limits(20, 600)},
    authorise=authorise,
    to_request=to_request,
    read=read,
)
