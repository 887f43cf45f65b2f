"""The members of a small, made-up radio station."""
