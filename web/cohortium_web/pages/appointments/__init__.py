"""The worklist of combined appointments: whose reviews are due, and what one long appointment would save."""
