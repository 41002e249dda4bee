"""Everything about one person: given to them as one file, or erased, with a certificate that says what was."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from django.apps import apps
from django.db import models, transaction
from django.utils import timezone

from chatkeep import operations
from chatkeep.connections import connecting, looking
from chatkeep.connections.models import Connection, Consent, Note
from chatkeep.errors import Busy, NotFound
from chatkeep.jobs.means import Means
from chatkeep.jobs.models import Job, Schedule, State
from chatkeep.jobs.run import Run
from chatkeep.operations import Progress, Step
from chatkeep.people import audit, belonging
from chatkeep.people.models import Audit, Certificate, Invitation, Membership, User
from chatkeep.selection import Selection

NOBODYS = "erasure"
"""The archive of jobs that erase: nobody's, so that no page shows them and none goes with what it erases."""


def everything(means: Means, run: Run, given: Mapping[str, Any]) -> dict[str, int]:
    """Write a zip of all that is known of a person: how many conversations, and its size [bytes]."""
    user, out = _person(given["user"]), Path(given["out"])
    folder = out.with_suffix(".parts")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        for name, value in _facts(user).items():
            (folder / f"{name}.json").write_text(json.dumps(value, indent=1, default=str, ensure_ascii=False))
        number = sum(_conversations(means, id, folder, run.progress) for id in belonging.owned_by(user))
        temporary = out.with_suffix(".writing")
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as file:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    file.write(path, path.relative_to(folder))
        temporary.rename(out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {"conversations": number, "bytes": out.stat().st_size}


def _conversations(means: Means, id: str, folder: Path, progress: Progress) -> int:
    from chatkeep.exporters import Customisation  # brings the renderers, which only an export needs

    archive = means.archive_of(id)
    receipts = [msgspec.to_builtins(one) for one in archive.receipts()]
    (folder / f"receipts-{id[:8]}.json").write_text(json.dumps(receipts, indent=1, default=str))
    if not archive.count():
        return 0
    report = operations.export_to(
        archive,
        Selection(),
        exporter="json",
        customisation=Customisation(branches="all", attachments="copy"),
        out=str(folder / f"conversations-{id[:8]}"),
        progress=progress,
    )
    return report.conversations


def _facts(user: User) -> dict[str, Any]:
    """What the tables hold of a person, without what opens anything."""
    owned = belonging.owned_by(user)
    secrets = {"password", "secrets", "tokens", "master_key", "token_hash", "data", "session_key", "asked", "value"}
    found: dict[str, Any] = {"profile": _plain(User.objects.filter(pk=user.pk), secrets)}
    found["log"] = _plain(Audit.objects.filter(actor=user.mark) | Audit.objects.filter(about=user.mark), secrets)
    for model, rows in _rows(user, owned):
        if model is not User and rows.exists():
            found[model._meta.label_lower.replace(".", "-")] = _plain(rows, secrets)
    return found


def _plain(rows: models.QuerySet[Any], secrets: Iterable[str]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in secrets} for row in rows.values()]


def _rows(user: User, archives: list[str]) -> list[tuple[type[models.Model], models.QuerySet[Any]]]:
    """Every table with rows of a person: by their archives, by themselves, by their address.

    Found by what fields are called, so that a new table is not forgotten: `archive`, and what refers to people.
    """
    found = []
    for model in apps.get_models():
        rows, names = model._default_manager.none(), {field.name for field in model._meta.fields}
        everybodys = model._default_manager.all()
        if model is not Audit and model is not Certificate:
            if "archive" in names:
                rows = rows | everybodys.filter(archive__in=archives)
            for field in model._meta.fields:
                if field.related_model is User:
                    rows = rows | everybodys.filter(**{field.name: user})
                elif field.name in ("user", "owner", "by", "who") and isinstance(field, models.CharField):
                    rows = rows | everybodys.filter(**{f"{field.name}__in": (user.pk.hex, str(user.pk), user.mark)})
                elif isinstance(field, models.EmailField):
                    rows = rows | everybodys.filter(**{f"{field.name}__iexact": user.email})
            found.append((model, rows))
    return found


def erase(means: Means, run: Run, given: Mapping[str, Any]) -> dict[str, Any]:
    """Erase a person, and say what was erased and what could not be reached. Goes on where it was cut off.

    Order: what is under way ends; sign-ins at providers; archives with their files; rows; the person; the certificate.
    """
    kept = Certificate.objects.get(pk=given["certificate"])
    user = User.objects.filter(pk=kept.user).first()
    if user is not None:
        for id in belonging.owned_by(user):
            run.progress(Step("Erasing an archive", 0, 1, "archives"))
            _erase_archive(means, id, kept)
        _erase_rows(user, kept)
    return _sign(kept)


def _erase_archive(means: Means, id: str, kept: Certificate) -> None:
    Job.objects.filter(archive=id, state=State.RUNNING).update(cancel_asked=True)
    Job.objects.filter(archive=id, state__in=(State.WAITING, State.PAUSED)).delete()
    Schedule.objects.filter(archive=id).delete()
    if Job.objects.filter(archive=id, state=State.RUNNING).exists():
        raise Busy("Something is still at work in the archive.")
    here = means.installation_of(id)
    for connection in Connection.objects.filter(archive=id):
        provider = connection.provider
        left = connecting.disconnect(connection, here)
        ended = "the sign-in was ended there" if left.revoked else "the sign-in could not be ended from here"
        kept.counted("connections", 1, unreached=f"Backups at {provider} stay in the person's own account; {ended}.")
    for consent in Consent.objects.filter(archive=id):
        looking.end(consent, here)
        Note.objects.filter(owner=consent.uid).delete()
        consent.delete()
    archive = means.archive_of(id)
    counts = archive.counts()
    archive.destroy()
    files = [path for path in here.home.rglob("*") if path.is_file()] if here.home.is_dir() else []
    shutil.rmtree(here.home, ignore_errors=True)
    if here.home.exists():
        raise Busy("Files of the archive could not be deleted yet.")
    kept.counted("conversations", counts.conversations)
    kept.counted("messages", counts.messages)
    kept.counted("attachments", counts.attachments)
    kept.counted("files", len(files))


def _erase_rows(user: User, kept: Certificate) -> None:
    belonging.sign_out(user)
    with transaction.atomic():
        rows = sum(found.delete()[0] for model, found in _rows(user, belonging.owned_by(user)) if model is not User)
        Invitation.objects.filter(email=user.email).delete()
        Membership.objects.filter(archive__in=belonging.owned_by(user)).delete()
        user.delete()
        kept.counted("rows", rows + 1)


def _sign(kept: Certificate) -> dict[str, Any]:
    """Finish the certificate: when, and the hash of what it says."""
    if not kept.done_at:
        kept.done_at = timezone.now()
        said = json.dumps([kept.mark, kept.done_at.isoformat(), kept.counts, kept.unreached], sort_keys=True)
        kept.hash = hashlib.sha256(said.encode()).hexdigest()
        with transaction.atomic():
            kept.save()
            audit.note("erasure", "user.erased", kept.mark, {"certificate": kept.hash})
    return {"certificate": kept.hash, "counts": kept.counts}


def _person(id: str) -> User:
    found = User.objects.filter(pk=id, erased_at=None).first()
    if found is None:
        raise NotFound("Nobody has this account.")
    return found
