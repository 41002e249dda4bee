"""A client for the API of Chatkeep. README.md has an example."""

from chatkeep_client.client import Chatkeep
from chatkeep_client.errors import ChatkeepError, ChatkeepProblem, ChatkeepUnreachable, WrongSignature
from chatkeep_client.signing import Message, message_of
from chatkeep_client.values import (
    Batch,
    Became,
    Change,
    Connection,
    Delivery,
    Hit,
    Item,
    Job,
    Listed,
    Me,
    Piece,
    Problem,
    Progress,
    Receipt,
    Undone,
    Webhook,
)

__all__ = [
    "Batch",
    "Became",
    "Change",
    "Chatkeep",
    "ChatkeepError",
    "ChatkeepProblem",
    "ChatkeepUnreachable",
    "Connection",
    "Delivery",
    "Hit",
    "Item",
    "Job",
    "Listed",
    "Me",
    "Message",
    "Piece",
    "Problem",
    "Progress",
    "Receipt",
    "Undone",
    "Webhook",
    "WrongSignature",
    "message_of",
]
