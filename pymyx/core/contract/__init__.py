"""What the JSON files may say: treatment.json, flows, events, outcomes, and the one function of run.py."""
