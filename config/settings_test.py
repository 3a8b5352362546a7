"""Settings of the test suite: what is in the developer's environment or `.env` does not reach it.

Only DATABASE_URL and REDIS_URL are taken from outside: they name the server (never the database) that is tested on.
Everything that is written goes to a folder of this process, removed at the end.
"""

import os
import re
import tempfile
from pathlib import Path

_names = re.findall(r"^#? ?([A-Z][A-Z_]+)=", (Path(__file__).parent.parent / ".env.example").read_text(), re.MULTILINE)
for _name in set(_names) - {"DATABASE_URL", "REDIS_URL"}:
    os.environ.pop(_name, None)
    os.environ.pop(f"{_name}_FILE", None)
os.environ["ENV_FILE"] = os.devnull
os.environ["DATA_DIR"] = tempfile.mkdtemp(prefix="agent-factory-tests-")

from config.settings import *  # noqa: E402, F403  # after the environment is clean
from config.settings import DATA_DIR, DATABASES  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
CELERY_BROKER_URL = "memory://"
# A file, as in the product: threads get connections of their own, with WAL and its locks.
DATABASES["default"].setdefault("TEST", {})
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["TEST"]["NAME"] = str(DATA_DIR / "test.sqlite3")
