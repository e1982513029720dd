"""Prints more than a pipe holds, again and again."""


def run(input_dir, output_dir, params):
    print("asleep", flush=True)
    while True:
        print("x" * 100, flush=True)
