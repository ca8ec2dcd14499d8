"""What several tests share: tiny models, batches, ranks."""
