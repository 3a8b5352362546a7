"""Start-up of the web process against a bare Django admin project, and what it must not import."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.harness import Line, Sample, Scratch, interleaved, scratch

FORBIDDEN = ("scipy", "numpy", "pandas", "matplotlib", "genai_prices", "litellm")
PRODUCT = "import django; django.setup(); from django.urls import get_resolver; get_resolver().url_patterns"
BARE = """
from django.conf import settings
settings.configure(SECRET_KEY="x", ROOT_URLCONF="benchmarks.bare_urls", USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
                    "django.contrib.sessions", "django.contrib.messages"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware",
                "django.contrib.auth.middleware.AuthenticationMiddleware",
                "django.contrib.messages.middleware.MessageMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request",
            "django.contrib.auth.context_processors.auth", "django.contrib.messages.context_processors.messages"]}}])
import django; django.setup(); from django.urls import get_resolver; get_resolver().url_patterns
"""
REPORT = """
import resource, sys
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime, used.ru_maxrss, *[name for name in %r if name in sys.modules])
"""


def run() -> list[Line]:
    """Measure and return the line; raises when a forbidden module was imported."""
    with scratch("sqlite") as base:
        line = Line("start-up: set-up and addresses, CPU", "bare Django admin (cost ratio)", by_cpu=True, goal=1 / 2.2)
        return [interleaved(line, lambda _: _start(base, PRODUCT), lambda _: _start(base, BARE), rounds=5)]


def _start(base: Scratch, program: str) -> Sample:
    environment = (
        {**base.environment, "DJANGO_SETTINGS_MODULE": "config.settings"} if program is PRODUCT else base.environment
    )
    command = [sys.executable, "-c", program + REPORT % (FORBIDDEN,)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603
    seconds, kilobytes, *found = done.stdout.split()
    if program is PRODUCT:
        print(f"  web process after start-up: {int(kilobytes) / 1024:.0f} MiB", flush=True)
        if found:
            raise RuntimeError(f"the web process imports {', '.join(found)} at start-up")
    return Sample(1, float(seconds), float(seconds))
