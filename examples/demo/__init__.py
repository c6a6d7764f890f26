"""Shows on the terminal what the main job did."""
