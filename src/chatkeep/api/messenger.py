"""The thread beside a worker that tells webhooks what happened. It loads nothing as long as nobody wants to be told."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import close_old_connections, connection
from django.utils import timezone

from chatkeep.api import once
from chatkeep.api.models import Webhook
from chatkeep.jobs.means import Means

LOOK_EVERY_S = 2.0
_SWEEP_EVERY = timedelta(hours=1)
_PATIENCE_S = 12.0
_log = logging.getLogger(__name__)


class Messenger:
    """Gathers what happened and delivers it, until it is stopped. Any number of processes may do so at once.

    networks: of our own that webhooks may lead to, "10.1.2.0/24".
    """

    def __init__(self, means: Means, *, networks: Sequence[str] = (), every_s: float = LOOK_EVERY_S) -> None:
        self._means = means
        self._networks = networks
        self._every_s = every_s
        self._swept_at: datetime | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="messenger", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Try nothing more; what is being tried may end."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE_S)

    def tick(self) -> int:
        """Gather and deliver what there is now. How many messages were tried."""
        if not Webhook.objects.exists():
            return 0
        from chatkeep.api import webhooks
        from chatkeep.providers import posting

        webhooks.gather()
        return webhooks.deliver(
            lambda archive: self._means.installation_of(archive).safe, allowed=posting.networks(self._networks)
        )

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                close_old_connections()
                while self.tick() and not self._stop.is_set():
                    pass
                self._sweep()
            except Exception as error:  # a full or locked disk must not end it
                _log.error("Webhooks could not be looked after: %s", type(error).__name__)
        connection.close()

    def _sweep(self) -> None:
        """Drop answers and messages that are old, once an hour."""
        now = timezone.now()
        if self._swept_at is None or now - self._swept_at > _SWEEP_EVERY:
            from chatkeep.api import webhooks

            self._swept_at = now
            once.sweep()
            webhooks.sweep()
