"""The web app: pages for people, in one process with the worker that does the long work."""

from __future__ import annotations

from chatkeep.web.serving import serve, sign_in_link

__all__ = ["serve", "sign_in_link"]
