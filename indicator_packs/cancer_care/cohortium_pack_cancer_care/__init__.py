"""Cancer care."""
