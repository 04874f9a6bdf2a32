"""What the doctor asks OSS, the account and the service."""
