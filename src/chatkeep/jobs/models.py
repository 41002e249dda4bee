"""The rows of jobs and schedules: what was asked for, all that became of it, and what is asked for by the clock."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from chatkeep import happenings
from chatkeep.connections.installation import OWN


class State(models.TextChoices):
    """Where a job is. Waiting and running are open; paused waits for a person; the rest are ends."""

    WAITING = "waiting", "Waiting"
    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    DONE = "done", "Done"
    PROBLEMS = "problems", "Done with problems"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class Why(models.TextChoices):
    """Why something is paused."""

    PERSON = "person", "Somebody paused it"
    CRASHES = "crashes", "It died too often"
    SIGN_IN = "sign-in", "The account has to be connected again"
    SWITCH = "switch", "The operator switched it off"


OPEN = (State.WAITING, State.RUNNING, State.PAUSED)


class Job(models.Model):
    """One piece of long work. The database itself refuses two runs of one subject and two equal waiting requests.

    kind: a name of `chatkeep.jobs.kinds`. archive: whose work it is. subject: what runs are serial by, "archive",
    "archive:<id>" or "connection:<uid>".
    attached: run by a process that somebody watches (a command); when it dies, no worker runs it again.
    arguments: for the kind, JSON with sorted keys. by: who asked, "the web page" or "the command line (4711)".
    run_token, lease_until: the run that may work now, and until when; empty when none does.
    owner: the process of that run (`chatkeep.jobs.alive`), "" where processes cannot be told apart.
    paused_for: why it is paused, see Why; else "".
    progress: {"stage", "done", "total", "note"}. log: lines for people, each with its time.
    report: what the operation gave, as `operations` has it. what, hint: of the error, or why it is paused.
    trace: what it was asked for by, as a W3C traceparent, where that is followed (`chatkeep.happenings`).
    code: the kind of the error that ended it or puts it off, "QuotaFull"; "" when all went well.
    flags: those that were on for its person when it was last run, ",inbox,tidying,"; "" before it was run.
    attempts: tries that ended in an error that may pass; crash_count: runs that died without a word.
    carried: on a server, that a ticket for its subject is on its way to a worker (`chatkeep.jobs.tickets`).
    """

    kind = models.CharField(max_length=40)
    archive = models.CharField(max_length=32, default=OWN, db_index=True)
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
    owner = models.CharField(max_length=40, blank=True, default="")
    cancel_asked = models.BooleanField(default=False)
    pause_asked = models.BooleanField(default=False)
    paused_for = models.CharField(max_length=12, choices=Why.choices, blank=True, default="")
    attempts = models.PositiveIntegerField(default=0)
    crash_count = models.PositiveIntegerField(default=0)
    carried = models.BooleanField(default=False, db_default=False)
    progress = models.JSONField(default=dict)
    report = models.JSONField(null=True, default=None)
    what = models.TextField(blank=True, default="")
    hint = models.TextField(blank=True, default="")
    code = models.CharField(max_length=60, blank=True, default="", db_default="")
    flags = models.CharField(max_length=500, blank=True, default="", db_default="")
    trace = models.CharField(max_length=60, blank=True, default=happenings.thread, db_default="")
    log = models.TextField(blank=True, default="")

    class Meta:
        ordering = ("-requested_at", "-id")
        indexes = (
            models.Index(fields=("state", "due_at"), name="jobs_due"),
            models.Index(fields=("subject", "kind", "ended_at"), name="jobs_last"),
            models.Index(fields=("due_at",), condition=Q(state="waiting", carried=False), name="jobs_to_carry"),
            models.Index(fields=("kind", "ended_at"), name="jobs_ended"),
        )
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


_ASKS = Q(on=True, paused_for="")


class Schedule(models.Model):
    """When a kind of job is asked for without a person: by the clock, and some minutes after the archive changed.

    archive, subject, kind, arguments: of the jobs, as in Job. on: whether it asks at all.
    every: as `chatkeep.jobs.timing` writes it, "day 03:30"; "" for never by the clock.
    after_change: how long the archive must have been quiet after a change [minutes]; 0 for never after a change.
    paused_for, paused: why it does not ask for now, as a code (Why) and in words; "" when it does.
    next_due: when the clock asks next. timed_at: when it last did.
    change: the number of the archive's change that was seen last. changed_at, first_changed_at: when the last and the
    first change were seen that nothing was asked for yet. settles_at: on a server, when it asks for them.
    """

    archive = models.CharField(max_length=32, default=OWN, db_index=True)
    subject = models.CharField(max_length=80)
    kind = models.CharField(max_length=40)
    arguments = models.TextField(default="{}")
    on = models.BooleanField(default=True)
    every = models.CharField(max_length=40, blank=True, default="")
    after_change = models.PositiveIntegerField(default=0)
    paused_for = models.CharField(max_length=12, choices=Why.choices, blank=True, default="")
    paused = models.CharField(max_length=500, blank=True, default="")
    next_due = models.DateTimeField(null=True, default=None)
    timed_at = models.DateTimeField(null=True, default=None)
    change = models.BigIntegerField(default=0)
    changed_at = models.DateTimeField(null=True, default=None)
    first_changed_at = models.DateTimeField(null=True, default=None)
    settles_at = models.DateTimeField(null=True, default=None)

    class Meta:
        ordering = ("subject", "id")
        indexes = (
            models.Index(fields=("next_due",), condition=_ASKS, name="jobs_schedule_timed"),
            models.Index(fields=("settles_at",), condition=_ASKS & Q(settles_at__isnull=False), name="jobs_settling"),
            models.Index(
                fields=("id",), condition=_ASKS & Q(next_due__isnull=True) & ~Q(every=""), name="jobs_to_be_planned"
            ),
            models.Index(fields=("subject",), condition=Q(paused_for="sign-in"), name="jobs_signed_out"),
        )
        constraints = (models.UniqueConstraint(fields=("subject", "kind"), name="jobs_one_schedule"),)

    def __str__(self) -> str:
        return f"{self.kind} of {self.subject}: {self.every or '-'}"
