"""The HTTP service: one request in, one response and one audit line out."""
