"""The library: what is known about everything that can be traded, and how it is found out."""
