"""OSS, STS and RAM for tests: they verify each signature, and answer as Alibaba Cloud does."""
