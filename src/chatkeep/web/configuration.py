"""Django's settings: made from Chatkeep's own, for pages, connections and jobs alike.

Pages hold people's conversations, so they load nothing from elsewhere, run no inline script, are never framed, and
answer only to names they know (against DNS rebinding, on loopback too).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chatkeep.connections.database import configured
from chatkeep.connections.secret import read_secret
from chatkeep.settings import Settings
from chatkeep.watching import logs

_HERE = Path(__file__).parent
CHATKEEP = Settings.from_environment()
CHATKEEP.home.mkdir(parents=True, exist_ok=True, mode=0o700)

_SECRET = read_secret(CHATKEEP.home, given=CHATKEEP.key)
SECRET_KEY = _SECRET.key("django").hex()
DEBUG = False
ALLOWED_HOSTS = [*CHATKEEP.allowed_hosts, *filter(None, [CHATKEEP.public_host])]
ROOT_URLCONF = "chatkeep.web.urls"
WSGI_APPLICATION = None
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_htmx",
    "csp",
    "chatkeep.connections",
    "chatkeep.jobs",
    "chatkeep.feedback",
    "chatkeep.people",
    "chatkeep.rollout",
    "chatkeep.api",
    "chatkeep.watching",
    "chatkeep.web",
]
MIDDLEWARE = [
    "chatkeep.watching.following.Followed",
    *(["chatkeep.web.guard.Told"] if CHATKEEP.is_server else []),
    "chatkeep.web.guard.Guard",
    "chatkeep.web.guard.Api",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "chatkeep.web.guard.SignedIn",
    "chatkeep.web.guard.Explained",
]
AUTH_USER_MODEL = "people.User"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [_HERE / "templates"],
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "chatkeep.web.context.frame",
            ],
            "builtins": ["chatkeep.web.templatetags.words", "django.templatetags.static"],
        },
    }
]
DATABASES = {"default": configured(CHATKEEP.database_url, CHATKEEP.home)}
if CHATKEEP.is_server:
    # What accounts need, and a laptop does not: it is not even imported there.
    from chatkeep.web import accounts

    INSTALLED_APPS += accounts.APPS
    MIDDLEWARE += accounts.MIDDLEWARE
    TEMPLATES[0] |= {"APP_DIRS": True}
    TEMPLATES[0]["OPTIONS"]["context_processors"] += accounts.CONTEXT
    globals().update(accounts.settings(CHATKEEP))
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = CHATKEEP.zone
LANGUAGE_CODE = "en"
USE_I18N = False

STATIC_URL = "/static/"
STATICFILES_DIRS = [_HERE / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
FILE_UPLOAD_TEMP_DIR = CHATKEEP.home / "cache" / "uploads"
FILE_UPLOAD_TEMP_DIR.mkdir(parents=True, exist_ok=True)
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.TemporaryFileUploadHandler"]
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000
DATA_UPLOAD_MAX_NUMBER_FILES = 10_000

SESSION_COOKIE_NAME = "chatkeep_session"
SESSION_COOKIE_AGE = 90 * 24 * 3600
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_HTTPONLY = True
if CHATKEEP.is_https:
    # A name that begins with __Host- is kept by browsers for this host alone, over https alone.
    SESSION_COOKIE_NAME = "__Host-chatkeep_session"
    SESSION_COOKIE_SECURE = True
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
if CHATKEEP.public_url:
    CSRF_TRUSTED_ORIGINS = [CHATKEEP.public_url]
if CHATKEEP.trusted_proxy:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CSRF_USE_SESSIONS = True
CSRF_FAILURE_VIEW = "chatkeep.web.pages.errors.forged"
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
# With "no-referrer" browsers send "Origin: null" with our own forms too, which the check of forms must refuse.
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'"],
        "media-src": ["'self'"],
        "connect-src": ["'self'"],
        "frame-src": ["'self'"],
        "form-action": [
            "'self'",
            *([accounts.origin(CHATKEEP.oidc.issuer)] if CHATKEEP.oidc and CHATKEEP.is_server else []),
        ],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
    }
}
LOGGING = logs.configuration(
    level=CHATKEEP.log_level,
    as_json=CHATKEEP.is_server,
    key=_SECRET.key("logs"),
)
