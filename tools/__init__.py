"""What maintainers, make and CI run: it writes pages and the template, and searches for secrets."""
