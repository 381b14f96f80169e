"""One patient's page: the measures, why each is so, and the timeline."""
