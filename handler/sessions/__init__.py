"""Sessions of AssumeRole, one for each mount: how they are opened at STS, kept and renewed."""
