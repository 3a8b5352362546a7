"""The public status pages: read once every few seconds, whoever asks how often."""

from slas.statuspage.reading import Bar, Shown, ShownComponent, ShownIncident, ShownMaintenance, build

__all__ = ["Bar", "Shown", "ShownComponent", "ShownIncident", "ShownMaintenance", "build"]
