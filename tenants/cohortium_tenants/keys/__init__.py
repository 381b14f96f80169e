"""A tenant's keys: made, opened, wrapped anew, destroyed. Not here: what they do (cohortium_platform.keys)."""

from cohortium_tenants.keys.service import create_keys, destroy_keys, open_keys, open_log_key, rewrap_keys

__all__ = ["create_keys", "destroy_keys", "open_keys", "open_log_key", "rewrap_keys"]
