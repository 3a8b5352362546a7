"""Trying a rule without telling anybody: what it finds now, and what it would have found in the past."""

from alerts.services.trials.backtest import SHOWN as SHOWN_EPISODES
from alerts.services.trials.backtest import Backtest, Episode, TooLong, backtest
from alerts.services.trials.testing import Found, Trial, try_rule

__all__ = ["SHOWN_EPISODES", "Backtest", "Episode", "Found", "TooLong", "Trial", "backtest", "try_rule"]
