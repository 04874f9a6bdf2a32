"""What the library does not need, and what several of those that use it share."""
