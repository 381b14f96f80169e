"""Onboarding of organisations: how far each is, and recording its steps."""
