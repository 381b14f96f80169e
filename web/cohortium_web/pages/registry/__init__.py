"""A registry as a list and as tiles."""
