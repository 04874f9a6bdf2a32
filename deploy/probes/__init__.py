"""What the doctor asks of this machine, of the service and of OSS."""
