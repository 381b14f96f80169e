"""Pages about packs: the catalogue, publishing and signing off, previews, enabling, rolling back, incident reports."""
