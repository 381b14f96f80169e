"""PostgreSQL and Redis that come as Python wheels, for the demo and the tests.

Here: starting and stopping real servers on private sockets under one folder. Not here: production, which points the
settings at servers of its own.
"""

from cohortium_platform.services.embedded import Services, embedded_services, ensure_started, remove, stop

__all__ = ["Services", "embedded_services", "ensure_started", "remove", "stop"]
