"""How many clips flow: sources, Beam transforms, sinks and the command line."""
