"""The checks of a pack, a module for each thing that is looked at. Not here: running all of them (`checks`)."""
