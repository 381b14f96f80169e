"""How registries are used."""
