"""The last migration of each app in the version that was released last, which may still be running somewhere.

When a version is released, this becomes what the tests print as the newest migrations then.
"""

from __future__ import annotations

RELEASED = {
    "api": "0001_first",
    "connections": "0008_spending",
    "feedback": "0001_first",
    "jobs": "0008_rota",
    "people": "0004_certificates",
    "rollout": "0001_first",
    "watching": "0001_first",
    "web": "0001_initial",
}
