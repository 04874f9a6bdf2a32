"""What requests and notices share: configuration, OSS, keys, callers, links and shares."""
