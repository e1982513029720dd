"""Day-wise, one day before: the mean of each value and the ones before it, over midnight."""

import os


def run(input_dir, output_dir, params):
    for domain in ("high", "low"):
        rows = []
        for name in sorted(os.listdir(input_dir)):
            if name.startswith(f"{domain}__"):
                with open(os.path.join(input_dir, name), encoding="utf-8") as file:
                    rows += [line.strip().split(";") for line in file]
        rows.sort()
        days = {}
        for number, (instant, _) in enumerate(rows):
            day_before = int(instant[8:10]) - 1
            window = [int(value) for at, value in rows[: number + 1] if int(at[8:10]) >= day_before][-params["window"] :]
            days.setdefault(instant[:10], []).append(f"{instant};{sum(window) / len(window):.3f}\n")
        for day, lines in days.items():
            with open(os.path.join(output_dir, f"{domain}__{day}.parquet"), "w", encoding="utf-8") as file:
                file.writelines(lines)
