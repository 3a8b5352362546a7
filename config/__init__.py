"""Puts the house together: settings, addresses, tasks, home page."""

import gc

# What start-up makes stays for ever, and the cycle collector would look through it again and again on the way, a
# seventh of the time. It begins when all apps are ready (config.apps), and then runs when 50,000 objects are new
# instead of 700, which finds what requests leave soon enough.
gc.disable()
gc.set_threshold(50_000, 20, 20)

from config.celery import app as celery_app  # noqa: E402  # the imports begin here

__all__ = ["celery_app"]
