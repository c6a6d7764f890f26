"""A sample scoring pipeline: leases unscored messages, scores them, posts predictions."""

MODEL_VERSION = "vader-lexicon-1.0.0"
