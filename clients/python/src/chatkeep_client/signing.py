"""Whether a webhook message was sent by who has the secret, and lately."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Callable
from typing import Any

import msgspec

from chatkeep_client.errors import WrongSignature

_FORM = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")


class Message(msgspec.Struct, frozen=True):
    """What a webhook is told. id: the same when it is told again. data: ids and counts."""

    id: str
    event: str
    at: str
    webhook: str
    data: dict[str, Any] = {}


def message_of(
    body: bytes, signature: str, secret: str, *, within_s: float = 300.0, clock: Callable[[], float] = time.time
) -> Message:
    """The message of a body, as it came. signature: of the header Chatkeep-Signature.

    within_s: how long ago it may have been sent [s]. Raises WrongSignature.
    """
    found = _FORM.fullmatch(signature)
    if found is None:
        raise WrongSignature("There is no signature.")
    expected = hmac.new(secret.encode(), found[1].encode() + b"." + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, found[2]):
        raise WrongSignature("The signature is of another message, or another secret.")
    if abs(clock() - int(found[1])) > within_s:
        raise WrongSignature("The message was sent too long ago.")
    try:
        return msgspec.json.decode(body, type=Message)
    except msgspec.MsgspecError:
        raise WrongSignature("This is no message.") from None
