"""The web application with everything in it, ready before the first request."""

from __future__ import annotations

import gc

from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver


def web_application() -> WSGIHandler:
    """Return the application with all its views imported; raises what any of them raises while it is imported.

    No request is the first to pay for an import, and what cannot be imported stops the start instead of a page. What
    exists by then stays for ever, so the cycle collector leaves it alone: processes forked later go on sharing it.
    """
    application = get_wsgi_application()
    _import_views()
    gc.collect()
    gc.freeze()
    return application


def _import_views() -> None:
    # Addresses are included lazily; naming any of them needs all.
    get_resolver()._populate()
