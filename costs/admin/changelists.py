"""Lists whose rows carry figures that are read once for the whole page, never row by row."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from core.adminkit.theme import ThemeChangeList


class FigureChangeList(ThemeChangeList):
    """Gives the rows of a page to `model_admin.add_figures(request, rows)` before they are shown."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list: Any = list(self.result_list)
        self.model_admin.add_figures(request, self.result_list)  # type: ignore[attr-defined]  # given by our admins
