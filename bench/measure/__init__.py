"""What `bench/run.sh` runs: servers and data prepared, load driven, use of the machine counted, results told."""
