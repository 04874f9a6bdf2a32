"""What the doctor asks this machine, the service and OSS."""
