"""What the examples share: an HTTP client with retries, credentials, progress, tables."""
