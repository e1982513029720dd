"""What was made from what: files, manifest, plan, stage, lock, publishing."""
