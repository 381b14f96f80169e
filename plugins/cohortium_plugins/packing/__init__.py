"""What a definition from a file must hold to, since anything can stand in one. `packfile` reads it."""
