"""What must hold before a deployment: s.yaml, links.toml and the variables."""
