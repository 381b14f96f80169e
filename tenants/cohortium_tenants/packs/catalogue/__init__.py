"""The catalogue of packs, the same for every tenant: publishers, versions, checks, sign-off, withdrawal."""
