"""What a call may raise."""

from __future__ import annotations


class ChatkeepError(Exception):
    """Something that was asked for was not done."""


class ChatkeepProblem(ChatkeepError):
    """The server refused. detail: what happened; hint: what can be done; type: the kind, for programs."""

    def __init__(self, status: int, *, type: str = "", detail: str = "", hint: str = "") -> None:
        super().__init__(f"{status}: {detail} {hint}".strip())
        self.status = status
        self.type = type
        self.detail = detail
        self.hint = hint


class ChatkeepUnreachable(ChatkeepError):
    """No answer came, after all that was tried."""


class WrongSignature(ChatkeepError):
    """A webhook message was not sent by who has the secret, or too long ago."""
