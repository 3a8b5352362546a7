"""Start-up of the web process against a bare Django admin project, and what it must not import.

Both are started as a deployment starts them: with the packages of requirements.txt alone, and with their bytecode
compiled. What only development brings would otherwise be imported too, by libraries that use it when it is there.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
from functools import cache
from importlib.metadata import packages_distributions

from benchmarks.harness import ROOT, Line, Sample, Scratch, interleaved, scratch

FORBIDDEN = (
    *("scipy", "numpy", "pandas", "matplotlib", "genai_prices", "litellm"),
    # What one page, one format or one command needs, and nobody else.
    *("opentelemetry", "google.protobuf", "drf_spectacular.generators", "xlsxwriter", "gunicorn", "costs.demo.load"),
    "psycopg",  # on SQLite, where this runs
)
MOST_MEBIBYTES = 90
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
WITHOUT = """
import sys
sys.modules.update(dict.fromkeys(%r))
"""
REPORT = """
import json, resource
used = resource.getrusage(resource.RUSAGE_SELF)
found = [name for name in %r if name in sys.modules]
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, found]))
"""


def run() -> list[Line]:
    """Measure and return the line; raises when a forbidden module was imported."""
    mebibytes: list[float] = []
    with scratch("sqlite") as base:
        for program in (PRODUCT, BARE):
            start(base, program)  # compiles the bytecode
        line = Line("start-up: set-up and addresses, CPU", "bare Django admin (cost ratio)", by_cpu=True, goal=1 / 2.2)
        interleaved(line, lambda _: start(base, PRODUCT, mebibytes), lambda _: start(base, BARE), rounds=7)
    memory = statistics.median(mebibytes)
    met = "met" if memory <= MOST_MEBIBYTES else "MISSED"
    print(f"  web process after start-up: {memory:.0f} MiB  goal ≤ {MOST_MEBIBYTES} {met}", flush=True)
    return [line]


def start(base: Scratch, program: str, mebibytes: list[float] | None = None) -> Sample:
    """Run one start in a process of its own; raises RuntimeError when the product imported what it must not."""
    environment = {**base.environment, "PYTHONPYCACHEPREFIX": str(base.folder / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if program is PRODUCT:
        environment["DJANGO_SETTINGS_MODULE"] = "config.settings"
    command = [sys.executable, "-c", WITHOUT % (development_modules(),) + program + REPORT % (FORBIDDEN,)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603
    seconds, size, found = json.loads(done.stdout)
    if program is PRODUCT and found:
        raise RuntimeError(f"the web process imports {', '.join(found)} at start-up")
    if mebibytes is not None:
        mebibytes.append(size)
    return Sample(1, seconds, seconds)


@cache
def development_modules() -> tuple[str, ...]:
    """Return the modules that are installed here but come from no package of requirements.txt."""
    pinned = re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / "requirements.txt").read_text(), flags=re.MULTILINE)
    deployed = {_normal(name) for name in pinned}
    return tuple(
        module
        for module, distributions in sorted(packages_distributions().items())
        if not deployed & {_normal(name) for name in distributions}
    )


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()
