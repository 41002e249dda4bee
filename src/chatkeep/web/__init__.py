"""The web app: pages for people, in one process with the worker that does the long work."""

from __future__ import annotations

from chatkeep.web.serving import new_link, serve

__all__ = ["new_link", "serve"]
