//! Partition actors, epochs and checkpoints.
