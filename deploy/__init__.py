"""Commands that take a clone to production: build, check, policies, doctor, template. Never deployed themselves."""
