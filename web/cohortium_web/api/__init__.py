"""Answers for programs. Not here: pages for people (`pages`)."""
