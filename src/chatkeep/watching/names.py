"""What is counted and measured: every name there is, in one place. No label is a person, a title or a file."""

from __future__ import annotations

from itertools import product

import msgspec


class Metric(msgspec.Struct, frozen=True):
    """One name. labels: those that it has, always all of them. begins: values of the labels that are there from the
    start, as zero, because a rate cannot see the birth of a counter. buckets: of a histogram, upper ends [its unit].
    """

    help: str
    labels: tuple[str, ...] = ()
    begins: tuple[tuple[str, ...], ...] = ()
    buckets: tuple[float, ...] = ()


BACKUP_RESULTS = ("done", "problems", "failed", "broken", "outage", "sign-in", "cancelled", "put-off", "paused")
BACKUP_STAGES = ("opening", "looking-for-what-is-new", "merging", "fetching", "sending", "verifying", "end")
GOOD_RUNS = ("done", "problems")
BAD_RUNS = ("failed", "broken")

COUNTERS = {
    "backup_runs_total": Metric(
        "Runs of backups and syncs, by how they ended and at which stage.",
        ("result", "stage"),
        tuple(
            (result, stage)
            for result, stage in product(BACKUP_RESULTS, BACKUP_STAGES)
            if (stage == "end") == (result in GOOD_RUNS)
        ),
    ),
    "backup_bytes_total": Metric("Bytes that backups sent.", (), ((),)),
    "job_runs_total": Metric("Runs of jobs, by kind and by how they ended.", ("kind", "result")),
    "remote_requests_total": Metric(
        'Requests to providers, by the status of the answer; "none" where there was none.', ("provider", "code")
    ),
    "token_refresh_total": Metric("Sign-ins that were renewed, or not.", ("provider", "result")),
    "verify_objects_total": Metric(
        "What was read back and compared.", ("result",), (("match",), ("mismatch",), ("missing",))
    ),
    "import_items_total": Metric("Conversations and problems of imports.", ("importer", "result")),
    "delete_brake_total": Metric("Syncs that held back deletions because they were many at once.", (), ((),)),
    "notices_total": Metric("Notices to people, by way and by whether they went out.", ("channel", "result")),
}
HISTOGRAMS = {
    "http_request_duration_seconds": Metric(
        "Time to answer, by the name of the route.",
        ("route", "method", "code"),
        buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    ),
    "remote_retry_after_seconds": Metric(
        "Pauses that providers asked for.", ("provider",), buckets=(1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
    ),
}
QUANTILES = ("0", "0.01", "0.5", "1")
"""Of the last successes: the oldest, the hundredth part, the middle, the newest."""
GAUGES = {
    "backup_last_success_timestamp": Metric(
        "When destinations were last backed up [s since 1970]; 0 is the oldest, 1 the newest.", ("quantile",)
    ),
    "backup_destinations": Metric("Destinations with a schedule that is on."),
    "backup_destinations_fresh": Metric("Of these, whose last success is not older than twice their interval."),
    "token_expires_timestamp": Metric("When the next sign-in ends that does not renew itself [s since 1970]."),
    "restore_drill_last_success_timestamp": Metric("When a restore was last rehearsed with success [s since 1970]."),
    "queue_oldest_seconds": Metric("For how long the first due job has waited [s]."),
    "queue_jobs": Metric("Jobs that have not ended.", ("state",)),
    "conflicts_open": Metric("What devices did differently and nobody has looked at."),
    "quota_free_bytes": Metric("The least space that is free at a destination [bytes]."),
    "store_free_bytes": Metric("Space that is free where attachments are kept [bytes]."),
    "store_size_bytes": Metric("Space that there is where attachments are kept [bytes]."),
    "db_integrity_last_ok_timestamp": Metric("When the database was last found whole [s since 1970]."),
    "worker_heartbeat_timestamp": Metric("When a worker last gave a sign of life [s since 1970]."),
    "chatkeep_build_info": Metric("Always 1; the version is its label.", ("version",)),
}
ALL = COUNTERS | HISTOGRAMS | GAUGES
