"""A laptop's Function Compute: s.yaml, instances, triggers and asynchronous invocations."""
