"""A local Function Compute: s.yaml, instances, triggers and asynchronous invocations."""
