"""What a run keeps on disk: files written whole, shards that are made once, manifests last."""
