"""Notices: from an event to messages that carry links, each sent once."""
