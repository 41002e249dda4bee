"""What the person or the operator set from outside, read once where a program starts."""

from __future__ import annotations

import contextlib
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from chatkeep.errors import WrongUse

LOG_LEVELS = ("debug", "info", "warning", "error")
PORT = 8765  # where the app listens, if nothing else is said
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
SHORTEST_KEY, FEWEST_CHARACTERS = 32, 12
_CLIENT_ID = re.compile(r"CHATKEEP_([A-Z0-9_]+)_CLIENT_ID")


class SignInElsewhere(msgspec.Struct, frozen=True, kw_only=True):
    """Where people sign in with an account that they have elsewhere (OpenID Connect). name: as the button says it."""

    issuer: str
    client_id: str
    client_secret: str
    name: str

    def __repr__(self) -> str:
        return f"SignInElsewhere({self.issuer!r})"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one run. Everything has a default that works on a laptop.

    home: the data folder; nothing of ours is kept elsewhere on this machine.
    passphrase: opens a vault without a question; becomes its passphrase when one is made.
    key: protects tokens and vault keys in app.sqlite3; "" means the file secret.key in the data folder.
    key_before: what `key` was until now, so that what was sealed under it still opens.
    clients: by the name of a provider, the client id and secret that its sign-in page knows us by, where the operator
        gives one to all. cloud_base: where the providers are to be found instead of the internet, for trials.
    host, port: where `serve` listens. allowed_hosts: names it answers to, beside those of this machine.
    device: how this machine is called in backups.
    time_zone: as TZ names it; "" for the one of this machine. `zone` is the one that is meant.

    database_url: the PostgreSQL that holds everything but attachments; "" on a laptop. With it Chatkeep serves many
        people, and `home` is the folder of attachments that all machines share.
    public_url: the address that people know, "https://chats.example", without a slash at its end.
    trusted_proxy: whether a proxy in front says truly who asks, and over what. web_processes: how many answer.
    webhook_networks: of our own that webhooks may lead to, "10.1.2.0/24"; all others of this machine are refused.
    smtp_url, mail_from: how mail is sent, "smtp://user:password@host:587", and in whose name; "" sends none.
    oidc: where people may sign in with an account that they have elsewhere.
    most_bytes, most_attachment_bytes, most_connections: what each person may keep; 0 for as much as they like.

    metrics_token: with it in a request, /metrics answers; "" for not at all. metrics_port: where it answers programs of
        this machine without one; 0 for nowhere.
    notify_mail, notify_ntfy, notify_webhook, notify_ping: where the keeper of a laptop is told that something is wrong,
        and what is called after each look that found all well; "" for what the page of notices says.
    """

    home: Path
    passphrase: str = ""
    key: str = ""
    key_before: str = ""
    clients: dict[str, tuple[str, str]] = {}
    cloud_base: str = ""
    host: str = "127.0.0.1"
    port: int = PORT
    allowed_hosts: tuple[str, ...] = LOOPBACK
    log_level: str = "warning"
    device: str = "this computer"
    time_zone: str = "UTC"
    database_url: str = ""
    public_url: str = ""
    trusted_proxy: bool = False
    web_processes: int = 2
    metrics_token: str = ""
    metrics_port: int = 0
    notify_mail: str = ""
    notify_ntfy: str = ""
    notify_webhook: str = ""
    notify_ping: str = ""
    webhook_networks: tuple[str, ...] = ()
    smtp_url: str = ""
    mail_from: str = ""
    oidc: SignInElsewhere | None = None
    most_bytes: int = 0
    most_attachment_bytes: int = 0
    most_connections: int = 0

    @property
    def counts(self) -> bool:
        """Whether what happens is counted: on a server, and where somebody asks for metrics."""
        return bool(self.database_url or self.metrics_token or self.metrics_port)

    @property
    def zone(self) -> str:
        """The IANA name of the time zone of the clock on the wall, for schedules and for times that people read."""
        return _zone(self.time_zone)

    @property
    def is_server(self) -> bool:
        """Whether many people are served, from PostgreSQL."""
        return bool(self.database_url)

    @property
    def public_host(self) -> str:
        """The name in the public address, without its port; "" on a laptop."""
        return urlsplit(self.public_url).hostname or ""

    @property
    def is_https(self) -> bool:
        """Whether people come over https, so that cookies and addresses may be bound to it."""
        return self.public_url.startswith("https://")

    def __repr__(self) -> str:
        return f"Settings(home={str(self.home)!r}, host={self.host!r}, port={self.port})"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """The settings that the variables give; each may be the name of a file that holds it, as `…_FILE`.

        Raises WrongUse for a value that means nothing.
        """
        found = _with_files(os.environ if environment is None else environment)
        made = cls(
            home=_home(found.get("CHATKEEP_HOME", "")),
            passphrase=found.get("CHATKEEP_PASSPHRASE", ""),
            key=found.get("CHATKEEP_KEY", ""),
            key_before=found.get("CHATKEEP_KEY_BEFORE", ""),
            clients=_clients(found),
            cloud_base=_cloud_base(found.get("CHATKEEP_CLOUD_BASE", "")),
            host=found.get("CHATKEEP_HOST", "") or "127.0.0.1",
            port=_port(found.get("CHATKEEP_PORT", "")),
            allowed_hosts=(*LOOPBACK, *_names(found.get("CHATKEEP_ALLOWED_HOSTS", ""))),
            log_level=_log_level(found.get("CHATKEEP_LOG_LEVEL", "")),
            device=found.get("CHATKEEP_DEVICE", "").strip() or platform.node() or "this computer",
            time_zone=found.get("TZ", "").removeprefix(":"),
            database_url=_database_url(found.get("DATABASE_URL", "")),
            public_url=_public_url(found.get("CHATKEEP_PUBLIC_URL", "")),
            trusted_proxy=_is_yes(found.get("CHATKEEP_TRUSTED_PROXY", ""), "CHATKEEP_TRUSTED_PROXY"),
            web_processes=_processes(found.get("CHATKEEP_WEB_PROCESSES", "")),
            metrics_token=_token(found.get("CHATKEEP_METRICS_TOKEN", "")),
            metrics_port=_metrics_port(found.get("CHATKEEP_METRICS_PORT", "")),
            notify_mail=found.get("CHATKEEP_NOTIFY_MAIL", "").strip(),
            notify_ntfy=found.get("CHATKEEP_NOTIFY_NTFY", "").strip(),
            notify_webhook=found.get("CHATKEEP_NOTIFY_WEBHOOK", "").strip(),
            notify_ping=found.get("CHATKEEP_NOTIFY_PING", "").strip(),
            webhook_networks=_networks(found.get("CHATKEEP_WEBHOOK_NETWORKS", "")),
            smtp_url=_smtp_url(found.get("CHATKEEP_SMTP_URL", "")),
            mail_from=found.get("CHATKEEP_MAIL_FROM", "").strip(),
            oidc=_oidc(found),
            most_bytes=_most(found, "CHATKEEP_MOST_BYTES"),
            most_attachment_bytes=_most(found, "CHATKEEP_MOST_ATTACHMENT_BYTES"),
            most_connections=_most(found, "CHATKEEP_MOST_CONNECTIONS"),
        )
        if made.is_server:
            _refuse_what_is_unsafe_for_many(made)
        return made


def _refuse_what_is_unsafe_for_many(made: Settings) -> None:
    make = 'Make one with: python3 -c "import secrets; print(secrets.token_urlsafe(32))"'
    if not made.key:
        raise WrongUse("A server needs CHATKEEP_KEY: the secret that seals tokens and sessions.", hint=make)
    if len(made.key) < SHORTEST_KEY or len(set(made.key)) < FEWEST_CHARACTERS:
        raise WrongUse("CHATKEEP_KEY can be guessed: it is short, or has few different characters.", hint=make)
    if not made.public_url:
        raise WrongUse(
            "A server needs CHATKEEP_PUBLIC_URL: the address that people know.",
            hint="Set it to something like https://chats.example.",
        )


def _database_url(given: str) -> str:
    url = given.strip()
    if url and urlsplit(url).scheme not in ("postgresql", "postgres"):
        raise WrongUse("DATABASE_URL is not that of a PostgreSQL.", hint="It looks like postgresql://user@host/name.")
    return url


def _public_url(given: str) -> str:
    url = given.strip().rstrip("/")
    address = urlsplit(url)
    loopback = address.scheme == "http" and address.hostname in ("127.0.0.1", "localhost", "::1")
    if url and not ((loopback or address.scheme == "https") and address.hostname and not address.path):
        raise WrongUse(
            "CHATKEEP_PUBLIC_URL is neither https://name nor on this machine.",
            hint="Give the address that people type, without a path: https://chats.example.",
        )
    return url


def _smtp_url(given: str) -> str:
    url = given.strip()
    if url and (urlsplit(url).scheme not in ("smtp", "smtps") or not urlsplit(url).hostname):
        raise WrongUse(
            "CHATKEEP_SMTP_URL is not that of a mail server.",
            hint="It looks like smtp://user:password@mail.example:587, or smtps://… where TLS begins at once.",
        )
    return url


def _oidc(found: Mapping[str, str]) -> SignInElsewhere | None:
    issuer = found.get("CHATKEEP_OIDC_ISSUER", "").strip().rstrip("/")
    if not issuer:
        return None
    address = urlsplit(issuer)
    loopback = address.scheme == "http" and address.hostname in ("127.0.0.1", "localhost", "::1")
    if not (loopback or address.scheme == "https") or not address.hostname:
        raise WrongUse("CHATKEEP_OIDC_ISSUER is not an https address.", hint="Ask whoever runs the accounts for it.")
    id, secret = (found.get(f"CHATKEEP_OIDC_CLIENT_{part}", "").strip() for part in ("ID", "SECRET"))
    if not id or not secret:
        raise WrongUse("CHATKEEP_OIDC_CLIENT_ID and CHATKEEP_OIDC_CLIENT_SECRET go with CHATKEEP_OIDC_ISSUER.")
    name = found.get("CHATKEEP_OIDC_NAME", "").strip() or address.hostname
    return SignInElsewhere(issuer=issuer, client_id=id, client_secret=secret, name=name)


def _most(found: Mapping[str, str], name: str) -> int:
    given = found.get(name, "")
    if given and not (given.isdecimal() and len(given) < 19):
        raise WrongUse(f"{name} is not a number.", hint="Leave it out for no limit.")
    return int(given or 0)


def _is_yes(given: str, name: str) -> bool:
    if given not in ("", "0", "1"):
        raise WrongUse(f"{name} is neither 1 nor 0.")
    return given == "1"


def _processes(given: str) -> int:
    if not given:
        return 2
    if not given.isdecimal() or not 1 <= int(given) <= 64:
        raise WrongUse("CHATKEEP_WEB_PROCESSES is not a number from 1 to 64.", hint="One or two for each processor.")
    return int(given)


def _token(given: str) -> str:
    token = given.strip()
    if token and len(token) < 16:
        raise WrongUse("CHATKEEP_METRICS_TOKEN is shorter than 16 characters.", hint="Give one that nobody can guess.")
    return token


def _metrics_port(given: str) -> int:
    if given and not (given.isdecimal() and 1024 <= int(given) < 65536):
        raise WrongUse("CHATKEEP_METRICS_PORT is not a port number from 1024 to 65535.")
    return int(given or 0)


def _with_files(given: Mapping[str, str]) -> dict[str, str]:
    """The variables, with what stands in the files that those ending in _FILE name: so secrets stay out of them."""
    found = dict(given)
    for name, path in given.items():
        plain = name.removesuffix("_FILE")
        if plain == name or not path or not (plain == "DATABASE_URL" or plain.startswith("CHATKEEP_")):
            continue
        if found.get(plain):
            raise WrongUse(f"{plain} and {name} are both set.", hint="Set one of them.")
        try:
            found[plain] = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise WrongUse(
                f"The file that {name} names cannot be read.", hint="Check its path and its owner."
            ) from error
    return found


def _home(given: str) -> Path:
    if given:
        return Path(given).expanduser().absolute()
    from platformdirs import user_data_path

    return user_data_path("chatkeep", appauthor=False)


def _clients(found: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """CHATKEEP_GOOGLE_DRIVE_CLIENT_ID and …_CLIENT_SECRET as {"google-drive": (id, secret)}."""
    named = {match[1]: found[name].strip() for name in found if (match := _CLIENT_ID.fullmatch(name))}
    return {
        name.lower().replace("_", "-"): (client, found.get(f"CHATKEEP_{name}_CLIENT_SECRET", "").strip())
        for name, client in named.items()
        if client and name != "OIDC"
    }


def _cloud_base(given: str) -> str:
    base = given.strip().rstrip("/")
    address = urlsplit(base)
    loopback = address.scheme == "http" and address.hostname in ("127.0.0.1", "localhost", "::1")
    if base and not loopback and not (address.scheme == "https" and address.hostname):
        raise WrongUse(
            "CHATKEEP_CLOUD_BASE is neither https nor on this machine.", hint="Leave it out to use the cloud."
        )
    return base


def _zone(given: str, *, link: Path = Path("/etc/localtime")) -> str:
    """The zone that TZ names, else the one this machine is set to, else UTC."""
    from zoneinfo import ZoneInfo  # a search does without

    _, _, linked = str(link.resolve()).partition("zoneinfo/")
    for name in (given, linked.removeprefix("posix/").removeprefix("right/")):
        with contextlib.suppress(KeyError, ValueError, OSError):  # no zone of that name is known here
            if name:
                return ZoneInfo(name).key
    return "UTC"


def _port(given: str) -> int:
    if not given:
        return PORT
    if not given.isdecimal() or not 0 <= int(given) < 65536:
        raise WrongUse("CHATKEEP_PORT is not a port number.", hint="Give a number from 0 to 65535; 0 takes a free one.")
    return int(given)


def _networks(given: str) -> tuple[str, ...]:
    from ipaddress import ip_network

    try:
        return tuple(str(ip_network(name)) for name in _names(given))
    except ValueError:
        raise WrongUse(
            "CHATKEEP_WEBHOOK_NETWORKS is no list of networks.",
            hint="Write them like 10.1.2.0/24, separated by commas.",
        ) from None


def _names(given: str) -> list[str]:
    return [name.strip() for name in given.split(",") if name.strip()]


def _log_level(given: str) -> str:
    level = given.lower() or "warning"
    if level not in LOG_LEVELS:
        raise WrongUse(f"CHATKEEP_LOG_LEVEL is none of {', '.join(LOG_LEVELS)}.")
    return level
