"""Makes the package that is deployed and checks what is in it."""
