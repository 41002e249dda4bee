"""What Django is told about accounts on a server: how people sign in, and how guessing is slowed down."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

from chatkeep.settings import Settings, SignInElsewhere

APPS = [
    "django.contrib.humanize",
    "django.contrib.messages",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
]
MIDDLEWARE = [
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]
CONTEXT = ["django.contrib.messages.context_processors.messages"]
PROVIDER = "elsewhere"

GUESSES = "60/h/ip,15/h/key"
"""Wrong passwords and codes: by address, and by account among browsers that it does not know (`people.accounts`)."""


def settings(chatkeep: Settings) -> dict[str, Any]:
    """The settings of Django and of allauth."""
    return _PLAIN | _mail(chatkeep) | elsewhere(chatkeep.oidc) | _of(chatkeep)


def origin(address: str) -> str:
    """Scheme, name and port of an address."""
    found = urlsplit(address)
    return f"{found.scheme}://{found.netloc}"


_PLAIN: dict[str, Any] = {
    "AUTHENTICATION_BACKENDS": ["allauth.account.auth_backends.AuthenticationBackend"],
    "PASSWORD_HASHERS": [
        "django.contrib.auth.hashers.Argon2PasswordHasher",
        "django.contrib.auth.hashers.ScryptPasswordHasher",
    ],
    "AUTH_PASSWORD_VALIDATORS": [
        {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
        {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
        {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    ],
    "LOGIN_URL": "/account/login/",
    "LOGIN_REDIRECT_URL": "/",
    "MESSAGE_STORAGE": "django.contrib.messages.storage.session.SessionStorage",
    # Counts of guesses are shared by all processes, survive a restart, and are never pushed out by others.
    "CACHES": {
        "default": {
            "BACKEND": "django.core.cache.backends.db.DatabaseCache",
            "LOCATION": "people_counts",
            "OPTIONS": {"MAX_ENTRIES": 10_000_000},
        }
    },
    "ACCOUNT_ADAPTER": "chatkeep.people.accounts.Accounts",
    "ACCOUNT_FORMS": {"signup": "chatkeep.people.accounts.SignUp"},
    "ACCOUNT_USER_MODEL_USERNAME_FIELD": None,
    "ACCOUNT_LOGIN_METHODS": {"email"},
    "ACCOUNT_SIGNUP_FIELDS": ["email*", "password1*"],
    "ACCOUNT_RATE_LIMITS": {
        "login_failed": GUESSES,
        "reauthenticate": "10/m/user",
        "reset_password": "20/h/ip,5/h/key",
    },
    "ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS": False,
    "ACCOUNT_EMAIL_SUBJECT_PREFIX": "",
    "ACCOUNT_LOGIN_ON_PASSWORD_RESET": False,
    "ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE": False,
    "ACCOUNT_LOGOUT_REDIRECT_URL": "/account/login/",
    "ACCOUNT_REAUTHENTICATION_TIMEOUT": 600,
    "ACCOUNT_SESSION_REMEMBER": True,
    "ACCOUNT_CHANGE_EMAIL": True,
    "MFA_ADAPTER": "chatkeep.people.accounts.SecondFactors",
    "MFA_SUPPORTED_TYPES": ["totp", "webauthn", "recovery_codes"],
    "MFA_PASSKEY_LOGIN_ENABLED": True,
    "MFA_TOTP_ISSUER": "Chatkeep",
    "SOCIALACCOUNT_ADAPTER": "chatkeep.people.accounts.Elsewhere",
    "SOCIALACCOUNT_STORE_TOKENS": False,
    # The operator trusts this provider with who people are, so a verified address there is the account with it here.
    "SOCIALACCOUNT_EMAIL_AUTHENTICATION": True,
    "SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT": True,
    "USERSESSIONS_TRACK_ACTIVITY": False,
}


def _of(chatkeep: Settings) -> dict[str, Any]:
    sends = bool(chatkeep.smtp_url)
    return {
        "ACCOUNT_DEFAULT_HTTP_PROTOCOL": "https" if chatkeep.is_https else "http",
        # Without mail nobody can prove an address; then the invitation is what an account rests on.
        "ACCOUNT_EMAIL_VERIFICATION": "mandatory" if sends else "none",
        "MFA_ALLOW_UNVERIFIED_EMAIL": not sends,
        "MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN": not chatkeep.is_https,
    }


def _mail(chatkeep: Settings) -> dict[str, Any]:
    if not chatkeep.smtp_url:
        return {"EMAIL_BACKEND": "django.core.mail.backends.dummy.EmailBackend"}
    server = urlsplit(chatkeep.smtp_url)
    at_once = server.scheme == "smtps"
    return {
        "EMAIL_HOST": server.hostname or "",
        "EMAIL_PORT": server.port or (465 if at_once else 587),
        "EMAIL_HOST_USER": unquote(server.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(server.password or ""),
        "EMAIL_USE_SSL": at_once,
        "EMAIL_USE_TLS": not at_once and server.hostname not in ("127.0.0.1", "localhost"),
        "EMAIL_TIMEOUT": 20,
        "DEFAULT_FROM_EMAIL": chatkeep.mail_from or f"chatkeep@{chatkeep.public_host}",
    }


def elsewhere(oidc: SignInElsewhere | None) -> dict[str, Any]:
    """The settings for signing in with an account that is kept elsewhere."""
    if oidc is None:
        return {"SOCIALACCOUNT_PROVIDERS": {}}
    app = {
        "provider_id": PROVIDER,
        "name": oidc.name,
        "client_id": oidc.client_id,
        "secret": oidc.client_secret,
        "settings": {"server_url": oidc.issuer, "oauth_pkce_enabled": True},
    }
    return {"SOCIALACCOUNT_PROVIDERS": {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [app]}}}
