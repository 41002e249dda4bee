"""The name of this module is how Django finds a backend."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql import base

from chatkeep.archive import kept


class DatabaseWrapper(base.DatabaseWrapper):
    """Asks the sockets of connections, not the server, whether they live: see `kept`."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        make = super().get_new_connection
        return kept.living(self.pool, lambda: make(conn_params)) if self.pool else make(conn_params)
