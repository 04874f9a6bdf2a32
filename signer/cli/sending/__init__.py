"""Files on their way to a service: which are sent, where to, and how one is sent."""
