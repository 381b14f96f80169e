"""Bundles: a tenant's whole content as files in open formats, with a signed manifest.

Here: what a bundle is, writing one so that it can be resumed, and verifying one. Not here: what a tenant puts into it
(cohortium_tenants.exit).
"""
