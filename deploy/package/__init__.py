"""The package that is deployed: what is in it, and how it is made."""
