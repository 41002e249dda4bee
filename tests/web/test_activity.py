"""What is going on, on its page: the same after a reload, paused, resumed and cancelled with a click."""

from __future__ import annotations

from django.test import Client

from chatkeep.jobs import lease, queue
from chatkeep.jobs.models import Job, State
from chatkeep.jobs.run import Run
from chatkeep.operations.progress import Step


def _page(keeper: Client, job: Job) -> str:
    return keeper.get(f"/activity/{job.pk}/").content.decode()


def test_progress_is_the_servers_and_survives_a_reload(keeper: Client) -> None:
    job = queue.enqueue("backup", "connection:a")
    run = Run(job.pk, lease.take(job))
    run.progress(Step("Sending", 40, 100, "conversations", "7 kB so far"))
    for _ in range(2):
        page = _page(keeper, job)
        assert 'value="40"' in page
        assert "7 kB so far" in page
        assert "Sending." in page
    assert "Backup · 40 %" in keeper.get("/").content.decode()


def test_a_waiting_job_is_paused_and_resumed(keeper: Client) -> None:
    job = queue.enqueue("backup", "connection:a")
    assert "Pause</button>" in _page(keeper, job)
    assert keeper.post(f"/activity/{job.pk}/pause").headers["Location"] == f"/activity/{job.pk}/"
    page = _page(keeper, job)
    assert "It was paused by somebody." in page
    assert "Go on</button>" in page
    keeper.post(f"/activity/{job.pk}/resume")
    assert queue.find(job.pk).state == State.WAITING


def test_a_running_job_says_that_it_is_about_to_pause(keeper: Client) -> None:
    job = queue.enqueue("backup", "connection:a")
    lease.take(job)
    keeper.post(f"/activity/{job.pk}/pause")
    assert ">Pausing<" in _page(keeper, job)
    keeper.post(f"/activity/{job.pk}/cancel")
    assert ">Stopping<" in _page(keeper, job)


def test_looking_is_not_pausing(keeper: Client) -> None:
    job = queue.enqueue("backup", "connection:a")
    assert keeper.get(f"/activity/{job.pk}/pause").status_code == 405
    assert queue.find(job.pk).state == State.WAITING


def test_a_stranger_pauses_nothing(stranger: Client) -> None:
    job = queue.enqueue("backup", "connection:a")
    stranger.post(f"/activity/{job.pk}/pause")
    assert queue.find(job.pk).state == State.WAITING


def test_an_import_is_listed_by_the_name_of_its_file(keeper: Client) -> None:
    queue.enqueue("import", "archive", arguments={"paths": ["/somewhere/export.zip", "/somewhere/more.json"]})
    page = keeper.get("/activity/").content.decode()
    assert "Import: export.zip and 1 more" in page
    assert "somewhere" not in page
