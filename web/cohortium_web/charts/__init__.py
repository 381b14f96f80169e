"""Charts as data for the browser to draw. Each stands beside a table with the same figures, and none is needed."""

from cohortium_web.charts.lines import Line, LineChart

__all__ = ["Line", "LineChart"]
