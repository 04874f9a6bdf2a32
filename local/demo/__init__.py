"""`make demo`: shows once, on your own machine, everything that the service does."""
