"""The row of a job: what was asked for and all that became of it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone


class State(models.TextChoices):
    """Where a job is. Waiting and running are open; paused waits for a person; the rest are ends."""

    WAITING = "waiting", "Waiting"
    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    DONE = "done", "Done"
    PROBLEMS = "problems", "Done with problems"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


OPEN = (State.WAITING, State.RUNNING, State.PAUSED)


class Job(models.Model):
    """One piece of long work. The database itself refuses two runs of one subject and two equal waiting requests.

    kind: a name of `chatkeep.jobs.kinds`. subject: what runs are serial by, "archive" or "connection:<uid>".
    attached: run by a process that somebody watches (a command); when it dies, no worker runs it again.
    arguments: for the kind, JSON with sorted keys. by: who asked, "the web page" or "the command line (4711)".
    run_token, lease_until: the run that may work now, and until when; empty when none does.
    progress: {"stage", "done", "total", "note"}. log: lines for people, each with its time.
    report: what the operation gave, as `operations` has it. what, hint: of the error, or why it is paused.
    attempts: tries that ended in an error that may pass; crash_count: runs that died without a word.
    """

    kind = models.CharField(max_length=40)
    subject = models.CharField(max_length=80)
    arguments = models.TextField(default="{}")
    by = models.CharField(max_length=80, blank=True, default="")
    attached = models.BooleanField(default=False)
    state = models.CharField(max_length=12, choices=State.choices, default=State.WAITING)
    requested_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, default=None)
    ended_at = models.DateTimeField(null=True, default=None)
    run_token = models.CharField(max_length=32, blank=True, default="")
    lease_until = models.DateTimeField(null=True, default=None)
    cancel_asked = models.BooleanField(default=False)
    attempts = models.PositiveIntegerField(default=0)
    crash_count = models.PositiveIntegerField(default=0)
    progress = models.JSONField(default=dict)
    report = models.JSONField(null=True, default=None)
    what = models.TextField(blank=True, default="")
    hint = models.TextField(blank=True, default="")
    log = models.TextField(blank=True, default="")

    class Meta:
        ordering = ("-requested_at", "-id")
        indexes = (models.Index(fields=("state", "due_at"), name="jobs_due"),)
        constraints = (
            models.UniqueConstraint(fields=("subject",), condition=Q(state="running"), name="jobs_one_run_a_subject"),
            models.UniqueConstraint(
                fields=("kind", "subject", "arguments"), condition=Q(state="waiting"), name="jobs_one_waiting"
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} of {self.subject}: {self.state}"

    @property
    def is_open(self) -> bool:
        """Whether something may still happen without a new request."""
        return self.state in OPEN
