"""A tenant's leaving: its bundle. Not here: what a bundle is (cohortium_platform.portability)."""
