"""Rates of a registry month by month, within reach. Not here: suppressed rates for planning."""
