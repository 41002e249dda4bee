"""Which address shows which page."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from chatkeep.web.configuration import CHATKEEP
from chatkeep.web.pages import (
    activity,
    backups,
    chats,
    conflicts,
    connecting,
    errors,
    exporting,
    home,
    importing,
    keys,
    notices,
    opened,
    programs,
    reading,
    retaining,
    scheduling,
    searching,
    service,
    signing_in,
    styles,
    watched,
)

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.home, name="home"),
    path("sign-in/", signing_in.explain, name="sign-in"),
    path("sign-in/<str:token>", signing_in.sign_in, name="sign-in-link"),
    path("sign-out/", signing_in.sign_out, name="sign-out"),
    path("health", watched.health, name="health"),
    path("ready", watched.ready, name="ready"),
    path("metrics", watched.metrics, name="metrics"),
    path("status/", service.status, name="status"),
    path("operator/slo/", service.slo, name="operator-slo"),
    path("operator/status/", service.incidents, name="operator-status"),
    path("operator/status/say", service.say, name="operator-status-say"),
    path("notices/", notices.notices, name="notices"),
    path("notices/change", notices.change, name="notices-change"),
    path("chats/", chats.chats, name="chats"),
    path("chats/together", chats.together, name="chats-together"),
    path("chats/<uuid:name>/", reading.chat, name="chat"),
    path("chats/<uuid:name>/change", reading.change, name="chat-change"),
    path("chats/<uuid:name>/document", reading.document, name="document"),
    path("differences/", conflicts.conflicts, name="conflicts"),
    path("differences/settle", conflicts.settle, name="conflict"),
    path("attachments/<str:sha256>", reading.attachment, name="attachment"),
    path("style/message.css", styles.message, name="message-style"),
    path("search/", searching.search, name="search"),
    path("import/", importing.imports, name="import"),
    path("import/example", importing.bring_example, name="example"),
    path("import/<str:number>/", importing.receipt, name="receipt"),
    path("import/<str:number>/undo", importing.undo, name="undo"),
    path("export/", exporting.exports, name="export"),
    path("export/preview", exporting.preview, name="export-preview"),
    path("export/<int:pk>/download", exporting.download, name="export-download"),
    path("backups/", backups.backups, name="backups"),
    path("connect/", connecting.choose, name="connect-choose"),
    path("connect/folder/", connecting.folder, name="connect-folder"),
    path("connect/to/<str:provider>/", connecting.cloud, name="connect-cloud"),
    path("connect/server/<str:provider>/", connecting.server, name="connect-server"),
    path("connect/return", connecting.come_back, name="connect-return"),
    path("connect/step/<str:uid>/", connecting.step, name="connect-step"),
    path("connect/step/<str:uid>/do", connecting.act, name="connect-do"),
    path("backups/connect", backups.connect, name="connect"),
    path("backups/<str:name>/kept", retaining.kept, name="kept"),
    path("backups/<str:name>/schedule", scheduling.scheduled, name="schedule"),
    path("backups/<str:name>/schedule/change", scheduling.change, name="schedule-change"),
    path("backups/<str:name>/", backups.place, name="place"),
    path("backups/<str:name>/reconnect", connecting.reconnect, name="reconnect"),
    path("backups/<str:name>/do", backups.do, name="backup-do"),
    path("backups/<str:name>/snapshots", backups.snapshots, name="snapshots"),
    path("backups/<str:name>/restore", backups.restore, name="restore"),
    path("backups/<str:name>/opened/<str:snapshot>/", opened.opened, name="opened"),
    path("backups/<str:name>/opened/<str:snapshot>/<uuid:conversation>", opened.read, name="opened-read"),
    path("backups/<str:name>/keys", keys.keys, name="keys"),
    path("backups/<str:name>/keys/test", keys.test_key, name="keys-test"),
    path("backups/<str:name>/keys/passphrase", keys.set_passphrase, name="keys-passphrase"),
    path("backups/<str:name>/keys/recovery", keys.add_recovery_key, name="keys-recovery"),
    path("backups/<str:name>/keys/remove", keys.remove, name="keys-remove"),
    path("programs/", programs.programs, name="programs"),
    path("programs/add", programs.add, name="program-add"),
    path("programs/<int:pk>/revoke", programs.revoke, name="program-revoke"),
    path("activity/", activity.runs, name="runs"),
    path("activity/<int:pk>/", activity.run, name="run"),
    path("activity/<int:pk>/part", activity.part, name="run-part"),
    path("activity/<int:pk>/cancel", activity.cancel, name="run-cancel"),
    path("activity/<int:pk>/pause", activity.pause, name="run-pause"),
    path("activity/<int:pk>/resume", activity.resume, name="run-resume"),
]
_LAPTOPS = ("sign-in", "sign-in-link")
if CHATKEEP.is_server:
    from chatkeep.web.server_urls import urlpatterns as of_server

    # Before the others: people sign in with accounts there, and not by a link of the terminal.
    urlpatterns = [*of_server, *(one for one in urlpatterns if getattr(one, "name", "") not in _LAPTOPS)]
handler404 = errors.missing
handler500 = errors.broken
