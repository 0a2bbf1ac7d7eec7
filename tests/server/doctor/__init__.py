"""The examination of a machine."""
