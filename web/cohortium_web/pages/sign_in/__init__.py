"""Signing in, changing role, signing out. Not here: who may sign in, and sessions (cohortium_auth.login)."""
