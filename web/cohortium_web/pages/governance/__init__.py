"""Governing access: who may see what, who did, what was approved, opened, opted out of. Never a clinical record."""
