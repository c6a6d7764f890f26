"""A sample model of relapse risk, after a law that is known: from training to measuring."""

MODEL_NAME = "relapse-7d"
FEATURE_SET_VERSION = "relapse-weekly-1"
SOURCE = "riskmodel-sample"  # which extractor the snapshots are of
HORIZON_DAYS = 7
DECIMALS = 6  # as many as the service keeps of a probability
