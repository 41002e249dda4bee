"""A file, folder or zip seen as named members, with limits."""

from chatkeep.source.limits import Limits
from chatkeep.source.member import Member
from chatkeep.source.source import Source

__all__ = ["Limits", "Member", "Source"]
