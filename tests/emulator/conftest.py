"""What strangers write runs with the wheel alone (test_strangers.py), and is not collected here."""

collect_ignore = ["programs", "stranger"]
