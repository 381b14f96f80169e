"""Opening one patient outside reach, for a limited time and with a reason. Not here: reviewing it (`governance`)."""
