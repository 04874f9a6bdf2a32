"""Everything that goes outward: OSS, STS, and the connections to them."""
