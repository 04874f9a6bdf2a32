"""Measurements, each beside its peers in one run: `make bench`."""
