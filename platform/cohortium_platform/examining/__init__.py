"""Examining a pack's file in a process of its own, with limits of time and memory: reading it, then its checks and
golden patients. Not here: what follows for the catalogue (tenants).
"""

from cohortium_platform.examining.parent import (
    CHECKING,
    READING,
    Described,
    Examined,
    Limits,
    Refused,
    check_file,
    describe_file,
)

__all__ = ["CHECKING", "READING", "Described", "Examined", "Limits", "Refused", "check_file", "describe_file"]
