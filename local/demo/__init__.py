"""`make demo`: each thing that the service does, once, on a laptop."""
