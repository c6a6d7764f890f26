"""An independent consumer of the events, with pika and the CloudEvents package."""
