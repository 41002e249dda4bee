"""The settings of Django, made of the settings of Chatkeep. There is no default secret."""

from __future__ import annotations

from chatkeep.connections.secret import read_secret
from chatkeep.settings import Settings

CHATKEEP = Settings.from_environment()

_secret = read_secret(CHATKEEP.home, given=CHATKEEP.key)
SECRET_KEY = _secret.key("django").hex()

DEBUG = False
ALLOWED_HOSTS = list(CHATKEEP.allowed_hosts)
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = ["chatkeep.connections.apps.Connections", "chatkeep.jobs.apps.Jobs"]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": CHATKEEP.home / "app.sqlite3",
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
        },
    }
}
