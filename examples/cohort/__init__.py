"""A made-up cohort of 60 clients with 30 days of messages, written for this project."""
