"""What is fuzzed: each target is an entry point of the product, and what others may send to it."""
