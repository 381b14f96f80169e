"""Bringing a database's tables up to the models of every layer.

Here: importing the models, the application role, row-level security's statements, and `migrate`. Not here: the tables
themselves, which each domain keeps in its own `models.py`.

A domain adds a table by writing a class in `<package>/<domain>/models.py`; nothing needs to be registered, since
`cohortium_platform.layers` finds it.
"""

from cohortium_platform.migrations.protection import import_models, protection_of
from cohortium_platform.migrations.upgrade import differences, migrate

__all__ = ["differences", "import_models", "migrate", "protection_of"]
