"""Function Compute and OSS on your own machine, for development and tests; never deployed."""
