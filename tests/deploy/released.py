"""The last migration of each app in the version that was released last, which may still be running somewhere.

When a version is released, this becomes what the tests print as the newest migrations then.
"""

from __future__ import annotations

RELEASED = {
    "connections": "0005_archives",
    "jobs": "0004_archives",
    "people": "0002_kept_log",
    "rollout": "0001_first",
    "web": "0001_initial",
}
