"""The study of pruning: dense training at several temperatures, pruning, retraining twice, connectivity and similarity."""
