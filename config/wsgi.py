"""WSGI entry point for any server; refuses to start on a configuration that is wrong or dangerous."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from core.serving.application import web_application  # noqa: E402  # needs the apps
from core.starting import WSGI_REFUSED, exit_on_refusal, require_everything  # noqa: E402  # needs the apps

exit_on_refusal(require_everything, WSGI_REFUSED)
application = web_application()
