"""A registry beside the register it should agree with: who is in one and not in the other, and why."""
