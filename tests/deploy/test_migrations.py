"""The version before works on the database of the version after: the rules, and the thing itself on PostgreSQL."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ModelState, ProjectState

from chatkeep.connections.changing import AddIndexCalmly, dangers
from deploy.released import RELEASED
from deploy.running import SOURCE
from postgres import Cluster


def loader() -> MigrationLoader:
    return MigrationLoader(None)


def ours() -> set[str]:
    return {one.label for one in apps.get_app_configs() if one.name.startswith("chatkeep.")}


# the rules


def test_no_migration_since_a_release_stops_the_release_before_it() -> None:
    found = loader()
    before = {key for leaf in RELEASED.items() for key in found.graph.forwards_plan(leaf)}
    broken = [
        danger
        for key, migration in found.graph.nodes.items()
        if key[0] in RELEASED and key not in before
        for danger in dangers(migration, found.project_state(key, at_end=False))
    ]
    assert broken == []


def test_what_was_released_is_still_there() -> None:
    assert set(RELEASED) <= ours()
    assert set(RELEASED.items()) <= set(loader().graph.nodes)


def migration_of(*operations: Any, **attributes: Any) -> migrations.Migration:
    made = type("Migration", (migrations.Migration,), {"operations": list(operations), **attributes})
    return made("0002_next", "parcels")  # type: ignore[no-any-return]


def state_before() -> ProjectState:
    state = ProjectState()
    fields = [
        ("id", models.BigAutoField(primary_key=True)),
        ("to", models.CharField(max_length=40)),
        ("weight", models.IntegerField(null=True)),
    ]
    state.add_model(ModelState("parcels", "Parcel", fields))
    return state


CALM = [
    migrations.AddField("parcel", "note", models.TextField(null=True)),
    migrations.AddField("parcel", "note", models.TextField(default="", db_default="")),
    migrations.AlterField("parcel", "to", models.CharField(max_length=80)),
    migrations.AlterField("parcel", "to", models.CharField(max_length=40, null=True)),
    migrations.AlterField("parcel", "to", models.CharField(max_length=40, choices=[("a", "A")])),
    migrations.CreateModel("Van", [("id", models.BigAutoField(primary_key=True))]),
    AddIndexCalmly("parcel", models.Index(fields=["to"], name="parcels_to")),
    migrations.RunPython(migrations.RunPython.noop),
]
DANGEROUS = [
    migrations.AddField("parcel", "note", models.TextField(default="")),
    migrations.AddField("parcel", "note", models.TextField()),
    migrations.AlterField("parcel", "to", models.CharField(max_length=20)),
    migrations.AlterField("parcel", "to", models.TextField()),
    migrations.AlterField("parcel", "to", models.CharField(max_length=40, unique=True)),
    migrations.AlterField("parcel", "weight", models.IntegerField()),
    migrations.RemoveField("parcel", "weight"),
    migrations.RenameField("parcel", "to", "receiver"),
    migrations.RenameModel("Parcel", "Letter"),
    migrations.DeleteModel("Parcel"),
    migrations.AddIndex("parcel", models.Index(fields=["to"], name="parcels_to")),
    migrations.AddConstraint("parcel", models.UniqueConstraint(fields=["to"], name="parcels_one")),
    migrations.RemoveConstraint("parcel", "parcels_other"),
    migrations.AlterModelTable("parcel", "post"),
    migrations.RunSQL("SELECT 1"),
]


@pytest.mark.parametrize("operation", CALM, ids=lambda one: one.describe())
def test_what_old_code_does_not_notice_is_allowed(operation: Any) -> None:
    assert list(dangers(migration_of(operation), state_before())) == []


@pytest.mark.parametrize("operation", DANGEROUS, ids=lambda one: one.describe())
def test_what_old_code_would_stumble_over_is_named(operation: Any) -> None:
    assert len(list(dangers(migration_of(operation), state_before()))) == 1


def test_what_no_running_version_uses_may_go() -> None:
    gone = migration_of(migrations.RemoveField("parcel", "weight"), unused_since={"parcel.weight": "0.2.0"})
    assert list(dangers(gone, state_before())) == []
    other = migration_of(migrations.RemoveField("parcel", "to"), unused_since={"parcel.weight": "0.2.0"})
    assert len(list(dangers(other, state_before()))) == 1


def test_a_table_that_is_new_may_be_made_in_several_steps() -> None:
    van = migrations.CreateModel("Van", [("id", models.BigAutoField(primary_key=True))])
    plate = migrations.AddField("van", "plate", models.TextField())
    assert list(dangers(migration_of(van, plate), state_before())) == []


# the thing itself: models as an old version has them, on tables as a new version made them

OLD_ON_NEW = """
import sys
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "parcels"], USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": sys.argv[1], "USER": "chatkeep",
                           "HOST": sys.argv[2]}},
)
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from deploy.old_code import use_as_before
print(use_as_before({"parcels": "0001_first"}))
"""
FIRST = """
from django.db import migrations, models
class Migration(migrations.Migration):
    initial = True
    operations = [migrations.CreateModel("Parcel", [
        ("id", models.BigAutoField(primary_key=True)), ("to", models.CharField(max_length=40)),
        ("sent_at", models.DateTimeField()), ("what", models.JSONField(default=dict)),
        ("before", models.ForeignKey("parcels.Parcel", models.CASCADE, null=True))])]
"""
NEXT = """
from django.db import migrations, models
from chatkeep.connections.changing import AddIndexCalmly
class Migration(migrations.Migration):
    atomic = False
    dependencies = [("parcels", "0001_first")]
    operations = [OPERATIONS]
"""


def old_on_new(operations: str, folder: Path, cluster: Cluster) -> subprocess.CompletedProcess[str]:
    place = folder / "parcels" / "migrations"
    place.mkdir(parents=True)
    for package in (place, place.parent):
        (package / "__init__.py").write_text("")
    (place / "0001_first.py").write_text(FIRST)
    (place / "0002_next.py").write_text(NEXT.replace("OPERATIONS", operations))
    (folder / "program.py").write_text(OLD_ON_NEW)
    name = re.search(r"/(\w+)\?", cluster.fresh())
    assert name
    paths = [folder, SOURCE, SOURCE.parent / "tests"]
    return subprocess.run(
        [sys.executable, str(folder / "program.py"), name[1], str(cluster.folder)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    "operations",
    [
        'migrations.AddField("parcel", "note", models.TextField(default="", db_default=""))',
        'migrations.AddField("parcel", "note", models.TextField(null=True))',
        'migrations.AlterField("parcel", "to", models.CharField(max_length=80))',
        'AddIndexCalmly("parcel", models.Index(fields=["to"], name="parcels_to"))',
    ],
)
def test_old_code_writes_and_reads_after_a_calm_change(operations: str, tmp_path: Path, cluster: Cluster) -> None:
    ran = old_on_new(operations, tmp_path, cluster)
    assert ran.stdout.split() == ["1"], ran.stderr


@pytest.mark.parametrize(
    "operations",
    [
        'migrations.AddField("parcel", "note", models.TextField(default=""))',
        'migrations.AlterField("parcel", "to", models.CharField(max_length=2))',
        'migrations.RemoveField("parcel", "what")',
        'migrations.RenameField("parcel", "to", "receiver")',
    ],
)
def test_old_code_fails_after_a_dangerous_change(operations: str, tmp_path: Path, cluster: Cluster) -> None:
    """The control: the rules forbid nothing that would do no harm."""
    ran = old_on_new(operations, tmp_path, cluster)
    assert ran.returncode != 0
    assert "Error" in ran.stderr


CHATKEEP_ON_NEW = """
import json, sys
from chatkeep.connections import start
start.migrate()
from deploy.old_code import use_as_before
print(use_as_before(json.loads(sys.argv[1])))
"""


def test_chatkeep_as_it_was_released_writes_and_reads_on_the_database_of_today(
    tmp_path: Path, cluster: Cluster
) -> None:
    import json

    from deploy.running import settings

    environment = settings(tmp_path, database=cluster.fresh())
    environment["PYTHONPATH"] += os.pathsep + str(SOURCE.parent / "tests")
    ran = subprocess.run(
        [sys.executable, "-c", CHATKEEP_ON_NEW, json.dumps(RELEASED)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) >= len(RELEASED)
