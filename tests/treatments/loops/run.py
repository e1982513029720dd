"""Loops for ever."""

def run(input_dir, output_dir, params):
    open(output_dir + "/half.parquet", "w").close()
    while True:
        pass
