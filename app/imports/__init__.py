"""Results of other load generators (wrk, oha, k6), read from their output."""
