"""Celery entry points of the slas app: each reads the clock and calls one service; safe to run twice and at once."""

from __future__ import annotations
