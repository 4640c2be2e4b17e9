"""What a running service tells about itself."""
