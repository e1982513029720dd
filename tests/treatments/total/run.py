"""Whole folder: the sum of each domain."""

import os


def run(input_dir, output_dir, params):
    totals = {}
    for name in sorted(name for name in os.listdir(input_dir) if name.endswith(".parquet")):
        with open(os.path.join(input_dir, name), encoding="utf-8") as file:
            domain = name.partition("__")[0]
            totals[domain] = totals.get(domain, 0) + sum(float(line.strip().partition(";")[2]) for line in file)
    for domain, total in totals.items():
        with open(os.path.join(output_dir, f"{domain}.parquet"), "w", encoding="utf-8") as file:
            file.write(f"{total:.3f}\n")
