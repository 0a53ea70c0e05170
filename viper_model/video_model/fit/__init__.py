"""Training of a video model."""
