"""Which address shows which page, of those that only a server has."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from chatkeep.web.pages import invitations, leaving, operating, own_account

urlpatterns: list[URLPattern | URLResolver] = [
    path("account/", include("allauth.urls")),
    path("sign-in/", RedirectView.as_view(pattern_name="account_login"), name="sign-in"),
    path("sign-in/again", own_account.sign_in_again, name="sign-in-again"),
    path("invitation/<str:token>", invitations.invitation, name="invitation"),
    path("settings/", own_account.settings, name="settings"),
    path("settings/archive", own_account.choose, name="choose-archive"),
    path("settings/share", own_account.share, name="share"),
    path("settings/unshare", own_account.unshare, name="unshare"),
    path("settings/sessions/", own_account.sessions, name="sessions"),
    path("settings/sessions/end-others", own_account.end_others, name="sessions-end"),
    path("settings/sessions/<int:pk>/end", own_account.end_session, name="session-end"),
    path("settings/everything", leaving.everything, name="everything"),
    path("settings/erase", leaving.erase, name="erase"),
    path("certificate/<str:token>", leaving.certificate, name="certificate"),
    path("operator/erasures/", leaving.erasures, name="operator-erasures"),
    path("operator/people/", operating.people, name="operator-people"),
    path("operator/people/invite", operating.invite, name="operator-invite"),
    path("operator/people/<uuid:id>/", operating.person, name="operator-person"),
    path("operator/people/<uuid:id>/change", operating.change, name="operator-change"),
    path("operator/invitations/<uuid:id>/withdraw", operating.withdraw, name="operator-withdraw"),
    path("operator/log/", operating.log, name="operator-log"),
]
