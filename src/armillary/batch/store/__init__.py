"""The durable records of batch: tables, and the questions that people ask them."""
