"""Answers of another shape than a provider describes: valid JSON without what must be in it.

A broken server in between gives such, or a provider that changed. It is no fault of the person's, and may pass.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from chatkeep.errors import Unavailable

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_VERBS = ("__init__", "put", "get", "stat", "listing", "delete", "changes", "put_many", "delete_many", "move")


def understood(call: Callable[P, R]) -> Callable[P, R]:
    """The same call, which raises Unavailable where an answer lacks what it reads or has something else there."""

    @wraps(call)
    def asking(*given: P.args, **named: P.kwargs) -> R:
        try:
            return call(*given, **named)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise Unavailable("The provider answered in a way that is not known.") from error

    return asking


def understanding(kind: type[T]) -> type[T]:
    """A storage class that is opened and whose verbs are called as `understood` says."""
    for verb in _VERBS:
        if verb in vars(kind):
            setattr(kind, verb, understood(vars(kind)[verb]))
    return kind
