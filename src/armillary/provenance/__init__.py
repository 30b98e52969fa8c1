"""What made each result: records of jobs, signed, and found again from the bytes that the jobs wrote."""
