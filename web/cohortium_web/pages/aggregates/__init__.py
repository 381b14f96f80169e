"""Suppressed counts of a registry, for analysts and programme leads: tables and run charts, never a patient."""
