"""Requests that write an object: put, copy, append, symbolic links."""
