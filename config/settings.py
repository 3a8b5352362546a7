"""All settings, each from one environment variable with a default that is safe on one machine.

`ENVIRONMENT` (development, staging, production) changes only what must differ. Values that are wrong or dangerous are
found by the system checks of `core.checks`, which stop every way of starting the product. docs/operations.md lists
the variables.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from django.urls import reverse_lazy

from config.databases import database
from config.environment import Environment
from config.folders import Folders, shared_metrics

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = (BASE_DIR / "VERSION").read_text().strip()

env = Environment()
ENV_FILE: str = env("ENV_FILE", default="")
env.load(Path(ENV_FILE) if ENV_FILE else BASE_DIR / ".env", required=bool(ENV_FILE))

# A word that is none of the three counts as production until it is corrected: nothing is switched off by a slip.
ENVIRONMENT: str = env.choice(
    "ENVIRONMENT", default="development", choices=("development", "staging", "production"), otherwise="production"
)
DEPLOYED = ENVIRONMENT in {"staging", "production"}
DEBUG: bool = env.bool("DEBUG", default=False)

# Everything that is written in embedded mode lives here: database, queue, secrets, exports, backups.
DATA_DIR = Path(env("DATA_DIR", default=str(BASE_DIR / "data"))).expanduser().resolve()
folder = Folders(DATA_DIR)

# --- Web -----------------------------------------------------------------------------------------------------------
SECRET_KEY = env("SECRET_KEY", default="") or ("" if DEPLOYED else folder.secret("SECRET_KEY")) or "not-set"
SECRET_KEY_FALLBACKS: list[str] = env.list("SECRET_KEY_FALLBACKS", default=[])
HOST: str = env("HOST", default="127.0.0.1")
PORT: int = env.integer("PORT", default=8000, minimum=0, maximum=65535)
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=[] if DEPLOYED else ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])
PUBLIC_URL: str = env("PUBLIC_URL", default="").rstrip("/")
WEB_THREADS: int = env.integer("WEB_THREADS", default=8, minimum=1, maximum=256)
WORKER_CONCURRENCY: int = env.integer("WORKER_CONCURRENCY", default=4, minimum=1, maximum=256)

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = True

INSTALLED_APPS = [
    "core",
    "costs",
    "experiments",
    "slas",
    "alerts",
    "compliance",
    "backups",
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "config.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "django_celery_results",
    "config",  # last: closes the ports after every app has filled them
]

# The Page… ones let requests with an API key pass: together they would cost more than the request itself.
MIDDLEWARE = [
    "core.middleware.RequestContextMiddleware",  # first: whatever refuses a request does it within its context
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "core.middleware.PageSessionMiddleware",
    "core.middleware.PageCommonMiddleware",
    "core.middleware.PageCsrfMiddleware",
    "core.middleware.PageAuthenticationMiddleware",
    "core.middleware.PageMessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "core.adminkit.site_context",
            ]
        },
    }
]

# --- Database ------------------------------------------------------------------------------------------------------
DATABASE_URL: str = env("DATABASE_URL", default="")
# Given apart from the address where secrets are files: DATABASE_PASSWORD_FILE, REDIS_PASSWORD_FILE.
DATABASE_PASSWORD: str = env("DATABASE_PASSWORD", default="")
DATABASE_POOL_MIN_SIZE: int = env.integer("DATABASE_POOL_MIN_SIZE", default=2, minimum=0, maximum=1000)
# Enough for every thread of the one process that serves pages and runs tasks.
DATABASE_POOL_MAX_SIZE: int = env.integer(
    "DATABASE_POOL_MAX_SIZE", default=WEB_THREADS + WORKER_CONCURRENCY + 4, minimum=1, maximum=1000
)
DATABASE_POOL_TIMEOUT_SECONDS: float = env.float("DATABASE_POOL_TIMEOUT_SECONDS", default=10.0)

DATABASES = {
    "default": database(
        env,
        DATABASE_URL,
        password=DATABASE_PASSWORD,
        embedded=folder() / "agent_factory.sqlite3",
        pool={
            "min_size": min(DATABASE_POOL_MIN_SIZE, DATABASE_POOL_MAX_SIZE),
            "max_size": DATABASE_POOL_MAX_SIZE,
            "timeout": DATABASE_POOL_TIMEOUT_SECONDS,
        },
    )
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Tasks ---------------------------------------------------------------------------------------------------------
REDIS_URL: str = env("REDIS_URL", default="")
if REDIS_URL and not REDIS_URL.startswith(("redis://", "rediss://", "unix://")):
    env.note("core.E001", "REDIS_URL is not the address of a Redis server.", "Use redis://:PASSWORD@HOST:PORT/NUMBER.")
    REDIS_URL = ""
REDIS_PASSWORD: str = env("REDIS_PASSWORD", default="")
if REDIS_URL and REDIS_PASSWORD and "@" not in REDIS_URL:
    REDIS_URL = REDIS_URL.replace("://", f"://:{quote(REDIS_PASSWORD, safe='')}@", 1)
if REDIS_URL:
    # Celery calls a Unix socket by another name than everybody else.
    CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {"visibility_timeout": 3600}
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}
else:
    CELERY_BROKER_URL = "filesystem://localhost"
    QUEUE_DIR = folder("queue")
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        # How long a message may lie before it is seen; the library waits a second.
        "polling_interval": 0.2,
        "data_folder_in": str(folder("queue", "messages")),
        "data_folder_out": str(folder("queue", "messages")),
        "control_folder": str(folder("queue", "control")),
        # Messages pass through a folder of the same file system, so that taking one is an atomic rename.
        "processed_folder": str(folder("queue", "processed")),
        "store_processed": True,
    }
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_RESULT_BACKEND = "django-db"
CELERY_RESULT_EXTENDED = True
CELERY_RESULT_EXPIRES = 7 * 24 * 3600
CELERY_TASK_TRACK_STARTED = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# A control message outlives the worker it was meant for on the file system's broker and would stop the next one.
CELERY_WORKER_ENABLE_REMOTE_CONTROL = bool(REDIS_URL)
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
# The age of every schedule is a health check: what ran is written at once, not every three minutes.
CELERY_BEAT_SYNC_EVERY = 1
CELERY_TIMEZONE = "UTC"
DJANGO_CELERY_BEAT_TZ_AWARE = True

# --- Organisation --------------------------------------------------------------------------------------------------
ORGANISATION_NAME: str = env("ORGANISATION_NAME", default="Agent Factory")
ORGANISATION_TIME_ZONE: str = env("ORGANISATION_TIME_ZONE", default="UTC")
BASE_CURRENCY: str = env("BASE_CURRENCY", default="USD").upper()
if not re.fullmatch("[A-Z]{3}", BASE_CURRENCY):
    env.note(
        "core.E010",
        f"BASE_CURRENCY={BASE_CURRENCY[:20]} is not a currency code.",
        "Use the three letters of ISO 4217, such as USD or EUR.",
    )
    BASE_CURRENCY = "USD"

LANGUAGE_CODE = "en-gb"
USE_I18N = False
USE_TZ = True
FORMAT_MODULE_PATH = "config.formats"
try:
    ORGANISATION_ZONE = ZoneInfo(ORGANISATION_TIME_ZONE)
except (KeyError, ValueError, OSError):
    env.note(
        "core.E011",
        f"ORGANISATION_TIME_ZONE={ORGANISATION_TIME_ZONE[:60]} is not a time zone.",
        "Use a name of the IANA database, such as Europe/Berlin or UTC.",
    )
    ORGANISATION_TIME_ZONE = "UTC"
    ORGANISATION_ZONE = ZoneInfo("UTC")
TIME_ZONE = ORGANISATION_TIME_ZONE

# --- People --------------------------------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "admin:index"
LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_ADAPTER = "core.accounts.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_ON_GET = False
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not DEPLOYED
MFA_TOTP_ISSUER = ORGANISATION_NAME

# --- Security ------------------------------------------------------------------------------------------------------
SECURE_SSL_REDIRECT: bool = env.bool("SECURE_SSL_REDIRECT", default=DEPLOYED)
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS: int = env.integer(
    "SECURE_HSTS_SECONDS", default=31_536_000 if DEPLOYED else 0, minimum=0, maximum=10 * 31_536_000
)
SECURE_HSTS_INCLUDE_SUBDOMAINS = DEPLOYED
SECURE_HSTS_PRELOAD = DEPLOYED
SECURE_REFERRER_POLICY = "same-origin"
BEHIND_TLS_PROXY: bool = env.bool("BEHIND_TLS_PROXY", default=False)
if BEHIND_TLS_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# Over plain HTTP, which takes two variables to ask for, a secure cookie would never come back.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = DEPLOYED and (SECURE_SSL_REDIRECT or BEHIND_TLS_PROXY)
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 12 * 3600
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "core.errorpages.stale_form"
# The middleware is there; it lets requests with an API key pass, so it goes by a name that the check does not know.
SILENCED_SYSTEM_CHECKS = ["security.W003"]
METRICS_TOKEN: str = env("METRICS_TOKEN", default="")
# The first encrypts what is kept secret in the database, all of them open it.
ENCRYPTION_KEYS: list[str] = env.list("ENCRYPTION_KEYS", default=[]) or (
    [] if DEPLOYED else [folder.secret("ENCRYPTION_KEYS")]
)
# What requests to addresses that people enter may reach besides the public internet.
OUTBOUND_ALLOWED_PRIVATE_CIDRS: list[str] = env.list("OUTBOUND_ALLOWED_PRIVATE_CIDRS", default=[])
OUTBOUND_ALLOWED_PORTS: list[str] = env.list("OUTBOUND_ALLOWED_PORTS", default=["80", "443", "8443"])
# Where the worker processes of one server add their metrics up. Its library reads the variable by itself.
PROMETHEUS_MULTIPROC_DIR: str = shared_metrics(env, "PROMETHEUS_MULTIPROC_DIR")

# A batch of 2,000 full events is about 1.5 MB; what is larger than this is refused with 413 before it is read.
MAX_BODY_BYTES: int = env.integer("MAX_BODY_BYTES", default=10 * 1024 * 1024, minimum=1024, maximum=2**30)
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES
MAX_BATCH_ITEMS: int = env.integer("MAX_BATCH_ITEMS", default=5000, minimum=1, maximum=100_000)
# An event that occurred earlier is refused.
COSTS_MAX_AGE_DAYS: int = env.integer("COSTS_MAX_AGE_DAYS", default=400, minimum=1, maximum=3660)

# --- What takes a second person, and what is kept of who did what ---------------------------------------------------
ADMIN_KEYS_NEED_APPROVAL: bool = env.bool("ADMIN_KEYS_NEED_APPROVAL", default=DEPLOYED)
# A hard budget that is raised by more than so many percent of its amount; 0: none needs it.
BUDGET_RAISE_APPROVAL_PERCENT: int = env.integer(
    "BUDGET_RAISE_APPROVAL_PERCENT", default=0, minimum=0, maximum=1_000_000
)
SECURITY_EVENT_DAYS: int = env.integer("SECURITY_EVENT_DAYS", default=400, minimum=30, maximum=3660)

# --- Files and mail ------------------------------------------------------------------------------------------------
STATIC_URL = "static/"
STATIC_ROOT = folder("static")
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
MEDIA_ROOT = DATA_DIR / "media"
FILE_UPLOAD_TEMP_DIR = folder("temporary")
EMAIL_URL: str = env("EMAIL_URL", default="consolemail://")
try:
    vars().update(env.email_url_config(EMAIL_URL))
except (KeyError, ValueError):
    env.note("core.E001", "EMAIL_URL is not the address of a mail server.", "Use smtp+tls://USER:PASSWORD@HOST:PORT.")
DEFAULT_FROM_EMAIL: str = env("DEFAULT_FROM_EMAIL", default="agent-factory@localhost")

# --- API -----------------------------------------------------------------------------------------------------------
# 0 switches a limit off. Failures are requests with a key that opens nothing, counted per address.
API_RATE_LIMIT_PER_MINUTE: int = env.int("API_RATE_LIMIT_PER_MINUTE", default=6000)
API_FAILURES_PER_MINUTE: int = env.int("API_FAILURES_PER_MINUTE", default=120)
# How many proxies in front of us write X-Forwarded-For; with 0 the header is not believed.
TRUSTED_PROXY_COUNT: int = env.integer("TRUSTED_PROXY_COUNT", default=0, minimum=0, maximum=10)
# Which attribute of a span, or of its resource, says who pays for it: the first that is there. "name=type" gives the
# entity type, which is otherwise agent.
OTLP_ENTITY_ATTRIBUTES: list[str] = env.list(
    "OTLP_ENTITY_ATTRIBUTES", default=["gen_ai.agent.id", "gen_ai.agent.name", "service.name"]
)
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "core.api.authentication.ApiKeyAuthentication",
        "core.api.authentication.PageSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["core.api.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["core.api.rendering.JsonRenderer"],
    "DEFAULT_PARSER_CLASSES": [],
    "DEFAULT_SCHEMA_CLASS": "core.api.openapi.ApiSchema",
    "EXCEPTION_HANDLER": "core.api.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Agent Factory API",
    "DESCRIPTION": "Costs, budgets, experiments, objectives, alerts, compliance and backups for fleets of AI agents.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.1",  # the structs' JSON Schema (2020-12) is a part of it as it is
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "POSTPROCESSING_HOOKS": [],
}

# --- Alerts --------------------------------------------------------------------------------------------------------
# An alert that changed so often within so many minutes is told of once, until it has been quiet for as long.
ALERTS_FLAP_CHANGES: int = env.integer("ALERTS_FLAP_CHANGES", default=5, minimum=3, maximum=1000)
ALERTS_FLAP_MINUTES: int = env.integer("ALERTS_FLAP_MINUTES", default=30, minimum=1, maximum=1440)
# How long alerts that are over are kept with their history; one that never fired is kept for a week at most.
ALERTS_RETENTION_DAYS: int = env.integer("ALERTS_RETENTION_DAYS", default=400, minimum=1, maximum=36500)
# Called by GET each minute that every pass of the alerts is on time; whoever is called tells when that stops.
ALERTS_DEADMAN_URL: str = env("ALERTS_DEADMAN_URL", default="")

# --- Objectives ----------------------------------------------------------------------------------------------------
# How many days what was measured is kept by the minute, beyond the time events may be late, and by the hour.
SLAS_MINUTES_DAYS: int = env.integer("SLAS_MINUTES_DAYS", default=8, minimum=8, maximum=400)
SLAS_HOURS_DAYS: int = env.integer("SLAS_HOURS_DAYS", default=400, minimum=32, maximum=36500)

# --- Logs ----------------------------------------------------------------------------------------------------------
LOG_LEVEL: str = env.choice("LOG_LEVEL", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
LOG_FORMAT: str = env.choice("LOG_FORMAT", default="json" if DEPLOYED else "console", choices=("json", "console"))
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"structured": {"()": "core.logs.formatter", "style": LOG_FORMAT}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django.server": {"handlers": [], "propagate": True},
        # Three lines for every task that a schedule sends, every two seconds: failures and retries are said anyway.
        **{name: {"level": "WARNING"} for name in ("celery.beat", "celery.worker.strategy", "celery.app.trace")},
    },
}

# --- Admin theme ---------------------------------------------------------------------------------------------------
UNFOLD: dict[str, Any] = {
    "SITE_TITLE": ORGANISATION_NAME,
    "SITE_HEADER": ORGANISATION_NAME,
    "SITE_SUBHEADER": f"Agent Factory {VERSION}",
    "SITE_SYMBOL": "precision_manufacturing",
    "SITE_URL": "",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": f"/{STATIC_URL}img/favicon.svg"}],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "ENVIRONMENT": "core.adminkit.environment_badge",
    "DASHBOARD_CALLBACK": "config.home.dashboard",
    "STYLES": [f"/{STATIC_URL}css/platform.css"],
    "SCRIPTS": [f"/{STATIC_URL}js/platform.js"],
    "ACCOUNT": {
        "navigation": [
            {"title": "Second factor", "link": reverse_lazy("mfa_index")},
            {"title": "Change password", "link": reverse_lazy("account_change_password")},
            {"title": "E-mail addresses", "link": reverse_lazy("account_email")},
            {"title": "Your sessions", "link": reverse_lazy("usersessions_list")},
        ]
    },
    "COMMAND": {"show_history": True},
    "SIDEBAR": {"show_search": True, "command_search": True, "navigation": "core.adminkit.navigation"},
    # Indigo, whose 600 and 700 pass WCAG AA on white and whose 400 passes on the dark ground.
    "COLORS": {
        "primary": {
            "50": "oklch(96.2% .018 272.314)",
            "100": "oklch(93% .034 272.788)",
            "200": "oklch(87% .065 274.039)",
            "300": "oklch(78.5% .115 274.713)",
            "400": "oklch(70.5% .14 276)",
            "500": "oklch(62.5% .19 277.117)",
            "600": "oklch(51.1% .262 276.966)",
            "700": "oklch(45.7% .24 277.023)",
            "800": "oklch(39.8% .195 277.366)",
            "900": "oklch(35.9% .144 278.697)",
            "950": "oklch(25.7% .09 281.288)",
        },
    },
}

# --- What is wrong with the above: read by the checks of core.checks, which stop the start ----------------------------
CONFIGURATION_PROBLEMS = [*env.problems, *env.unknown_names()]
CONFIGURATION_NAMES = frozenset(env.known)
