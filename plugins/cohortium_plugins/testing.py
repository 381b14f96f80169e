"""Golden patients: see the pack author's page."""
