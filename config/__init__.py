"""Puts the house together: settings, addresses, tasks, home page."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
