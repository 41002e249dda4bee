"""How the interpreter is set while conversations come in by the thousand. For the whole process, so it is counted."""

from __future__ import annotations

import gc
import sys
import threading

_SWITCH_S = 0.001
_lock = threading.Lock()
_running = 0
_before: tuple[bool, float] = (True, 0.005)


def begin() -> None:
    """No search for cycles: what comes in lives for a batch, and looking through it costs a tenth of the time.

    Quicker turns: the thread that indexes asks for the interpreter seldom and should not wait long for it.
    """
    global _running, _before
    with _lock:
        _running += 1
        if _running == 1:
            _before = gc.isenabled(), sys.getswitchinterval()
            gc.freeze()
            gc.disable()
            sys.setswitchinterval(_SWITCH_S)


def end() -> None:
    """Sets back what `begin` set, when the last one that began has ended."""
    global _running
    with _lock:
        _running -= 1
        if _running == 0:
            was_on, interval = _before
            sys.setswitchinterval(interval)
            gc.unfreeze()
            if was_on:
                gc.enable()
