"""The product's settings with the fleet app, for processes that tests start."""

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS[:-1], "config.tests.fleet", INSTALLED_APPS[-1]]
