"""What operators run. No function imports it, and it is left out of the function's package."""
