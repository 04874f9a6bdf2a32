"""What a version stored, which every later one must open."""
