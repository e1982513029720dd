"""Takes 3 GB of memory."""

def run(input_dir, output_dir, params):
    open(output_dir + "/half.parquet", "w").close()
    kept = []
    for _ in range(30):
        kept.append(bytearray(100_000_000))
