"""Checks s.yaml, env.yaml, links.toml and the environment variables before a deployment."""
