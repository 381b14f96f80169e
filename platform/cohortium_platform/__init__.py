"""See docs/decisions and DESIGN's rooms."""
