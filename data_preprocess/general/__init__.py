"""Generated tasks of all kinds."""
