"""What has to be put right when a server's database was restored from a backup, which is a moment in the past."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.sessions.models import Session

from chatkeep.jobs import lease


def end_sessions() -> int:
    """Sign everybody out: who had signed out after the backup must not be signed in again. How many sessions."""
    return int(Session.objects.all().delete()[0])


def put_back() -> int:
    """Let every job that ran at the moment of the backup wait again: nobody runs it now. How many."""
    return lease.recover(lease.Silence(lasts=timedelta(seconds=-1)))
