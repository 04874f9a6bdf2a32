"""A laptop's Function Compute and a laptop's OSS, for development and tests; never deployed."""
