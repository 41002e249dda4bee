"""How allauth makes accounts and signs people in here: by invitation alone, and with guesses slowed down, not accounts.

Guesses are counted by account among the browsers that the account does not know. A browser that was signed in before is
known by a cookie, and counted by itself: so somebody who guesses from elsewhere uses up their own tries, and whom the
account belongs to still gets in.
"""

from __future__ import annotations

import secrets
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.forms import SignupForm
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django import forms
from django.conf import settings
from django.core import signing
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from chatkeep.connections.safe import Safe
from chatkeep.connections.secret import Secrets
from chatkeep.errors import NotFound
from chatkeep.people import audit, inviting
from chatkeep.people.models import Invitation, User, plain_email

INVITED = "invitation"
"""In the session: the id of the invitation whose link was opened."""
KNOWN = "chatkeep_known"
KNOWN_FOR_S = 400 * 24 * 3600
_SALT = "chatkeep.known-browser"


class Accounts(DefaultAccountAdapter):  # type: ignore[misc]
    """Accounts with an e-mail address and a password."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "too_many_login_attempts": "Too many tries. Wait a while, use a passkey, or set a new password by mail.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Only with an invitation that is still good."""
        return invited(request) is not None

    def clean_email(self, email: str) -> str:
        """As it is kept. An invitation that names an address is for that one."""
        email = plain_email(super().clean_email(email))
        found = invited(self.request)
        if self.request.resolver_match.url_name == "account_signup" and found and found.email not in ("", email):
            raise forms.ValidationError("The invitation is for another address.")
        return email

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        """Makes the account and uses up the invitation, both or none."""
        user.name = form.cleaned_data.get("name", "")
        found = invited(request)
        if found and found.email:  # noted now: allauth asks when the invitation is used up already
            self.stash_verified_email(request, found.email)
        with transaction.atomic():
            super().save_user(request, user, form, commit=commit)
            accept(request, user)
        return user

    def is_email_verified(self, request: HttpRequest, email: str) -> bool:
        """Whom the operator invited by this address need not prove it."""
        found = invited(request)
        is_named = bool(found and found.email) and found.email == plain_email(email)  # type: ignore[union-attr]
        return is_named or bool(super().is_email_verified(request, email))

    def post_login(self, request: HttpRequest, user: User, **given: Any) -> HttpResponse:
        """Remembers the browser, so that its tries are counted by themselves."""
        response: HttpResponse = super().post_login(request, user, **given)
        value = signing.dumps([user.pk.hex, secrets.token_hex(8)], salt=_SALT)
        response.set_cookie(
            KNOWN,
            value,
            max_age=KNOWN_FOR_S,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
            path="/account/",
        )
        audit.note(user.mark, "user.signed-in", user.mark)
        return response

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        email = plain_email(credentials.get("email") or "")
        return f"{_known(request, email)}:{email}"

    def get_client_ip(self, request: HttpRequest) -> str:
        """Whoever asks. Behind a trusted proxy the server has put that there already."""
        return str(request.META.get("REMOTE_ADDR") or "127.0.0.1")


def _known(request: HttpRequest, email: str) -> str:
    """The mark of this browser, if the account with this address was signed in here before."""
    try:
        owner, mark = signing.loads(request.COOKIES.get(KNOWN, ""), salt=_SALT, max_age=KNOWN_FOR_S)
    except (signing.BadSignature, ValueError, TypeError):
        return ""
    return mark if User.objects.filter(pk=owner, email=email).exists() else ""


class SignUp(SignupForm):  # type: ignore[misc]
    """The form of somebody who was invited."""

    name = forms.CharField(
        label="How shall we call you?",
        max_length=100,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    field_order = ("name", "email", "password1")

    def __init__(self, *arguments: Any, **given: Any) -> None:
        from allauth.core import context

        super().__init__(*arguments, **given)
        found = invited(context.request)
        if found and found.email:
            self.fields["email"].initial = found.email
            self.fields["email"].widget.attrs["readonly"] = True


class Elsewhere(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Accounts with a sign-in elsewhere."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """Only with an invitation; one that names an address is for that one."""
        found = invited(request)
        return found is not None and found.email in ("", plain_email(sociallogin.user.email or ""))

    def save_user(self, request: HttpRequest, sociallogin: Any, form: Any = None) -> User:
        """Makes the account and uses up the invitation, both or none."""
        with transaction.atomic():
            user: User = super().save_user(request, sociallogin, form)
            accept(request, user)
        return user

    def populate_user(self, request: HttpRequest, sociallogin: Any, data: dict[str, Any]) -> User:
        """The name and address that are known elsewhere."""
        user: User = super().populate_user(request, sociallogin, data)
        names = (data.get("name"), " ".join(filter(None, [data.get("first_name"), data.get("last_name")])))
        user.name = next(filter(None, names), "")[:100]
        return user


class SecondFactors(DefaultMFAAdapter):  # type: ignore[misc]
    """Second factors, whose secrets are sealed before they reach the database."""

    def encrypt(self, text: str) -> str:
        """Sealed, as text."""
        return _safe().seal(text.encode(), place=PLACE).hex()

    def decrypt(self, encrypted_text: str) -> str:
        """What was sealed. Raises Damaged."""
        return _safe().unseal(bytes.fromhex(encrypted_text), place=PLACE).decode()


PLACE = "people/second factor"
"""What the secret of a second factor is bound to."""


def _safe() -> Safe:
    here = settings.CHATKEEP
    return Safe(Secrets(here.home, given=here.key, before=here.key_before))


def invited(request: HttpRequest) -> Invitation | None:
    """The invitation to make an account whose link this browser opened, if it is still good."""
    return inviting.good(request.session.get(INVITED, ""), account=True)


def accept(request: HttpRequest, user: User) -> None:
    """Use up the invitation of this browser for an account that was just made.

    Raises what allauth answers with when somebody else was faster.
    """
    try:
        inviting.accept(request.session.pop(INVITED, ""), user)
    except NotFound as error:
        raise ImmediateHttpResponse(redirect("account_login")) from error
