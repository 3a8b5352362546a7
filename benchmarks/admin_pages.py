"""Opens every change list a few times as a superuser and prints the best milliseconds of each as JSON."""

from __future__ import annotations

import json
import os
import sys
import time

import django


def main(repeats: int) -> None:
    """Print {page: milliseconds}."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.contrib import admin
    from django.contrib.auth import get_user_model
    from django.test import Client
    from django.urls import reverse

    user, _ = get_user_model().objects.get_or_create(username="bench", is_staff=True, is_superuser=True)
    client = Client(SERVER_NAME="localhost")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    figures = {}
    for model in admin.site._registry:
        address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        figures[model._meta.label] = min(_milliseconds(client, address) for _ in range(repeats))
    print(json.dumps(figures))


def _milliseconds(client: object, address: str) -> float:
    start = time.perf_counter()
    answer = client.get(address)  # type: ignore[attr-defined]  # the test client is imported after set-up
    if answer.status_code != 200:
        raise RuntimeError(f"{address} answers {answer.status_code}")
    return (time.perf_counter() - start) * 1000


if __name__ == "__main__":
    main(int(sys.argv[1]))
