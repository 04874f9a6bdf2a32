"""What Function Compute, OSS and STS allow a deployment to carry, up to a billion links a day: docs/scale.md.

Nothing here measures or asks anybody. `inputs` has what was measured, documented or assumed, and `simulation` the day
that follows from it.
"""
