"""From a clone to production: the build, its checks, the policies, the template and the doctor. Never deployed."""
