"""System checks: what is wrong or dangerous in the configuration, each under an id and with its cure.

The checks tagged `configuration` look at values alone; the one tagged `database` and `unreachable_broker` open a
connection. core.starting runs them before anything is served.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

from core.outbound.addresses import networks

CONFIGURATION = "configuration"
SECRET_LENGTH = 50
KEY_LENGTH = 32
PROBE_SECONDS = 3


@register(CONFIGURATION)
def check_values(**_: Any) -> list[CheckMessage]:
    """core.E001 (unreadable value), E008 (unknown name), E010 (currency), E011 (time zone): found while reading."""
    return [Error(problem.message, hint=problem.cure, id=problem.id) for problem in settings.CONFIGURATION_PROBLEMS]


@register(CONFIGURATION)
def check_secret(**_: Any) -> list[CheckMessage]:
    """core.E002 and E003: outside development the secret is given, long and not guessable."""
    given = settings.SECRET_KEY
    cure = "Set SECRET_KEY (or SECRET_KEY_FILE) to 50 or more random characters: python -c 'import secrets; "
    cure += "print(secrets.token_urlsafe(64))'."
    if not settings.DEPLOYED:
        return []
    if given == "not-set":
        return [Error(f"SECRET_KEY is not set in {settings.ENVIRONMENT}.", hint=cure, id="core.E002")]
    if len(given) < SECRET_LENGTH or len(set(given)) < 5 or "insecure" in given or "changeme" in given.lower():
        return [Error("SECRET_KEY is too short, or one that everybody knows.", hint=cure, id="core.E003")]
    return []


@register(CONFIGURATION)
def check_exposure(**_: Any) -> list[CheckMessage]:
    """core.E004 to E006: no debugging pages where others can reach them, and only names that are ours."""
    found: list[CheckMessage] = []
    if not settings.DEPLOYED:
        return found
    if settings.DEBUG:
        message = f"DEBUG is on in {settings.ENVIRONMENT}: pages of errors show settings and data."
        found.append(Error(message, hint="Take DEBUG out of the environment.", id="core.E004"))
    if not settings.ALLOWED_HOSTS:
        message = f"ALLOWED_HOSTS is not set in {settings.ENVIRONMENT}: every request would be refused."
        found.append(
            Error(message, hint="Set ALLOWED_HOSTS to the names people use, such as af.example.com.", id="core.E005")
        )
    elif "*" in settings.ALLOWED_HOSTS:
        message = "ALLOWED_HOSTS accepts every name, so links in mails can be made to lead elsewhere."
        found.append(Error(message, hint="List the names people use.", id="core.E006"))
    if settings.SECURE_SSL_REDIRECT and not settings.BEHIND_TLS_PROXY:
        message = "Requests are redirected to HTTPS, but no proxy is declared that ends it: they would turn in circles."
        cure = "Set BEHIND_TLS_PROXY=true when a proxy sets X-Forwarded-Proto, or SECURE_SSL_REDIRECT=false."
        found.append(checks.Warning(message, hint=cure, id="core.W003"))
    return found


@register(CONFIGURATION)
def check_stores(**_: Any) -> list[CheckMessage]:
    """core.E007, W001 and W002: where data is kept outside development was decided, not left to a default."""
    found: list[CheckMessage] = []
    if not settings.DEPLOYED:
        return found
    if not settings.DATABASE_URL:
        message = f"DATABASE_URL is not set in {settings.ENVIRONMENT}: an empty SQLite database would be used."
        cure = "Set DATABASE_URL to PostgreSQL, or to sqlite:////absolute/path to stay on one machine on purpose."
        found.append(Error(message, hint=cure, id="core.E007"))
    elif settings.DATABASE_URL.startswith("sqlite"):
        message = "SQLite serves one machine and one writer at a time."
        found.append(checks.Warning(message, hint="Use PostgreSQL for more than one machine.", id="core.W001"))
    if not settings.REDIS_URL:
        message = "REDIS_URL is not set: tasks travel through DATA_DIR and reach workers on this machine only."
        found.append(checks.Warning(message, hint="Set REDIS_URL when web and workers are apart.", id="core.W002"))
    return found


@register(CONFIGURATION)
def check_data_dir(**_: Any) -> list[CheckMessage]:
    """core.E009: DATA_DIR can be written."""
    try:
        settings.DATA_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=settings.DATA_DIR) as file:
            file.write(b"0")
    except OSError as error:
        message = f"DATA_DIR={settings.DATA_DIR} cannot be written: {error.strerror}."
        cure = f"Give user {os.geteuid()} the folder and free space, or set DATA_DIR to another one."
        return [Error(message, hint=cure, id="core.E009")]
    return []


@register(CONFIGURATION)
def check_pool(**_: Any) -> list[CheckMessage]:
    """core.E014: the pool of database connections can be built."""
    low, high = settings.DATABASE_POOL_MIN_SIZE, settings.DATABASE_POOL_MAX_SIZE
    if low <= high:
        return []
    message = f"DATABASE_POOL_MIN_SIZE={low} is more than DATABASE_POOL_MAX_SIZE={high}."
    return [Error(message, hint="Lower the first or raise the second.", id="core.E014")]


@register(CONFIGURATION)
def check_encryption_keys(**_: Any) -> list[CheckMessage]:
    """core.E015: there is a key for what is kept secret in the database, and none that can be guessed."""
    keys = settings.ENCRYPTION_KEYS
    cure = "Set ENCRYPTION_KEYS (or ENCRYPTION_KEYS_FILE) to 32 or more random characters: openssl rand -hex 32. Keep "
    cure += "former keys behind it, separated by commas, until manage.py reencrypt_secrets has run."
    if not keys:
        message = f"ENCRYPTION_KEYS is not set in {settings.ENVIRONMENT}: secrets of channels could not be kept."
        return [Error(message, hint=cure, id="core.E015")]
    weak = [place for place, key in enumerate(keys, 1) if len(key) < KEY_LENGTH or len(set(key)) < 5]
    if weak:
        places = ", ".join(map(str, weak))
        return [Error(f"ENCRYPTION_KEYS: too short or too plain is key {places}.", hint=cure, id="core.E015")]
    return []


@register(CONFIGURATION)
def check_outbound(**_: Any) -> list[CheckMessage]:
    """core.E016: what requests that leave the platform may reach can be read."""
    found: list[CheckMessage] = []
    try:
        networks(settings.OUTBOUND_ALLOWED_PRIVATE_CIDRS)
    except ValueError as error:
        message = f"OUTBOUND_ALLOWED_PRIVATE_CIDRS cannot be read: {error}."
        found.append(Error(message, hint="Write networks as CIDR: 10.1.0.0/16, fd00::/8.", id="core.E016"))
    wrong = [port for port in settings.OUTBOUND_ALLOWED_PORTS if not _is_port(port)]
    if wrong:
        message = f"OUTBOUND_ALLOWED_PORTS cannot be read: {', '.join(wrong)[:100]}."
        found.append(Error(message, hint="Write ports between 1 and 65535: 80,443,8443.", id="core.E016"))
    return found


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 1 <= int(text) <= 65535


@register(Tags.database)
def check_database(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """core.E012: the database answers. Run for the databases named, as `check --database default` does."""
    return [found for alias in databases or () if (found := unreachable_database(alias)) is not None]


def unreachable_database(alias: str = "default") -> CheckMessage | None:
    """Return what keeps the database from answering, or None. Opens one connection of its own, past the pool."""
    connection: Any = connections[alias]
    values = connection.settings_dict
    parameters = connection.get_connection_params()
    place = str(values["NAME"])
    if connection.vendor == "postgresql":
        parameters["connect_timeout"] = PROBE_SECONDS
        place = f"{values['HOST'] or 'local socket'}:{values['PORT'] or 5432}/{place}"
    try:
        connection.Database.connect(**parameters).close()
    except connection.Database.Error as error:
        reason = str(error).strip().splitlines()[0]
        cure = "Start the database, or correct DATABASE_URL; the user needs the right to connect."
        return Error(f"The database {place} cannot be reached: {reason}", hint=cure, id="core.E012")
    return None


def unreachable_broker() -> CheckMessage | None:
    """Return what keeps the queue of tasks from answering (core.E013), or None."""
    if not settings.REDIS_URL:
        return None
    from redis import Redis
    from redis.exceptions import RedisError

    server = Redis.from_url(settings.REDIS_URL, socket_connect_timeout=PROBE_SECONDS, socket_timeout=PROBE_SECONDS)
    try:
        server.ping()
    except RedisError as error:
        place = server.connection_pool.connection_kwargs
        where = place.get("path") or f"{place.get('host')}:{place.get('port')}"
        cure = "Start Redis, or correct REDIS_URL."
        return Error(f"Redis at {where} cannot be reached: {error}", hint=cure, id="core.E013")
    finally:
        server.close()
    return None
