"""Rows under pseudonyms, for uses approved at that level. Never a name, a number, a day or a practice."""
