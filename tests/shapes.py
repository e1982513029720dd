"""Files as loggers of nine kinds write them, with made-up values, and what they say, read apart from PyMyx.

Each shape is written by a function of its own from the same kind of made-up numbers, and read again by Python's csv,
datetime and zoneinfo alone, by what its maker's manual says of it.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

Reading = list[tuple[datetime, dict[str, float | int | None]]]  # an instant, and the value of each column


@dataclass(frozen=True)
class Shape:
    """A kind of file: its names and bytes, the params that state it, and what it says.

    `made` holds the columns that parse writes, with the type of each; the time is in `params["timestamp_column"]`.
    """

    files: dict[str, bytes]
    params: dict[str, Any]
    read: Callable[[bytes], Reading]


def _wave(row: int, sensor: int) -> int:
    """A made-up count of a Hall sensor."""
    return 3000 + 97 * sensor + round(40 * math.sin(row / 9 + sensor)) + row * 7 % 5


def _warm(row: int, sensor: int = 0) -> float:
    """A made-up temperature."""
    return round(11.5 + sensor + 3 * math.sin(row / 50), 2)


def _times(start: datetime, step: timedelta, count: int) -> Iterator[tuple[int, datetime]]:
    return ((row, start + row * step) for row in range(count))


def _number(text: str) -> float | int | None:
    if text in ("", "NAN", "#N/A"):
        return None
    return int(text) if text.lstrip("-").isdigit() else float(text)


def exo() -> Shape:
    """YSI EXO, exported by its Kor software: UTF-16, date and time apart, named by the day of download."""
    head = [
        "sep=,",
        "KorEXO Measurement File Export",
        "",
        "FILE CREATED:,2/3/2026,10:21:07",
        "",
        ",,,MEAN VALUE:,0.41,12.9,8.05",
        ",,,STANDARD DEVIATION:,0.02,1.1,0.04",
        "",
        "SENSOR SERIAL NUMBER:,,,,19A100001,19B100002,19C100003",
        "",
        "Date (MM/DD/YYYY),Time (HH:mm:ss),Time (Fract. Sec),Site Name,Cond µS/cm,Temp °C,pH",
    ]
    rows = [
        f"{t.month}/{t.day}/{t.year},{t:%H:%M:%S},0,North pier,{405 + row % 7}.{row % 10},{_warm(row):.2f},{8 + row % 9 / 100:.2f}"
        for row, t in _times(datetime(2026, 1, 9, 22, 0), timedelta(minutes=15), 120)
    ]

    def read(data: bytes) -> Reading:
        lines = data.decode("utf-16").splitlines()
        start = next(number for number, line in enumerate(lines) if line.startswith("Date ("))
        return [
            (
                datetime.strptime(f"{row['Date (MM/DD/YYYY)']} {row['Time (HH:mm:ss)']}", "%m/%d/%Y %H:%M:%S").replace(tzinfo=UTC),
                {name: _number(row[name]) for name in ("Time (Fract. Sec)", "Cond µS/cm", "Temp °C", "pH")},
            )
            for row in csv.DictReader(lines[start:])
        ]  # fmt: skip

    params = {
        "delimiter": ",",
        "encoding": "utf-16",
        "skip_to": "Date (MM/DD/YYYY)",
        "timestamp_column": "Date (MM/DD/YYYY)",
        "time_column": "Time (HH:mm:ss)",
        "timestamp_format": "%m/%d/%Y %H:%M:%S",
        "dated_names": False,
        "domains": {"integers": ["Time (Fract. Sec)"], "floats": ["Cond µS/cm", "Temp °C", "pH"]},
        "types": {"integers": "integer", "floats": "float"},
    }
    return Shape({"EXO_North_2026-02-03.csv": ("\r\n".join([*head, *rows]) + "\r\n").encode("utf-16")}, params, read)


def toa5() -> Shape:
    """Campbell Scientific TOA5: four header lines, all quoted but the numbers, "NAN" for no value."""
    head = [
        '"TOA5","CR1000X","CR1000X","4711","CR1000X.Std.05.02","CPU:pier.CR1X","31415","Table1"',
        '"TIMESTAMP","RECORD","Batt_V_Min","AirTC_Avg","Wind"',
        '"TS","RN","Volts","Deg C","m/s"',
        '"","","Min","Avg","Smp"',
    ]
    rows = [
        f'"{t:%Y-%m-%d %H:%M:%S}",{row + 5000},{12 + row % 4 / 10:.1f},{_warm(row) if row % 20 else chr(34) + "NAN" + chr(34)},{row % 8 / 4}'
        for row, t in _times(datetime(2026, 1, 20, 0, 0), timedelta(minutes=1), 200)
    ]

    def read(data: bytes) -> Reading:
        table = list(csv.reader(io.StringIO(data.decode("ascii"))))
        return [
            (
                datetime.fromisoformat(row[0]).replace(tzinfo=UTC),
                dict(zip(table[1][1:], map(_number, row[1:]), strict=True)),
            )
            for row in table[4:]
        ]

    params = {
        "delimiter": ",",
        "skip_lines": 1,
        "unit_lines": 2,
        "timestamp_column": "TIMESTAMP",
        "domains": {"integers": ["RECORD"], "floats": ["Batt_V_Min", "AirTC_Avg", "Wind"]},
        "types": {"integers": "integer", "floats": "float"},
    }
    return Shape({"pier_Table1.dat": ("\r\n".join([*head, *rows]) + "\r\n").encode("ascii")}, params, read)


def hobo() -> Shape:
    """Onset HOBO: a mark (BOM), a title, names with commas inside quotes, the year first, twelve hours, a fixed offset."""
    columns = ["Temp, °C (LGR S/N: 10432113, SEN S/N: 10432113)", "Intensity, Lux (LGR S/N: 10432113)"]
    head = [
        '"Plot Title: North pier"',
        f'"#","Date Time, GMT+02:00","{columns[0]}","{columns[1]}","Coupler Attached (LGR S/N: 10432113)","End Of File (LGR S/N: 10432113)"',
    ]
    times = list(_times(datetime(2026, 7, 11, 22, 0), timedelta(minutes=10), 90))
    rows = [f"{row + 1},{t:%y-%m-%d %I:%M:%S %p},{_warm(row):.3f},{row % 30 * 10}.0,," for row, t in times]
    rows.append(f"91,{times[-1][1] + timedelta(minutes=3):%y-%m-%d %I:%M:%S %p},,,Logged,Logged")

    def read(data: bytes) -> Reading:
        lines = data.decode("utf-8-sig").splitlines()[1:]
        zone = timezone(timedelta(hours=2))
        return [
            (
                datetime.strptime(row["Date Time, GMT+02:00"], "%y-%m-%d %I:%M:%S %p").replace(tzinfo=zone),
                {name: _number(row[name]) for name in ("#", *columns)},
            )
            for row in csv.DictReader(lines)
        ]

    params = {
        "delimiter": ",",
        "skip_lines": 1,
        "timestamp_column": "Date Time, GMT+02:00",
        "timestamp_format": "%y-%m-%d %I:%M:%S %p",
        "tz": "+02:00",
        "domains": {"integers": ["#"], "floats": columns},
        "types": {"integers": "integer", "floats": "float"},
    }
    return Shape({"North_pier.csv": ("\r\n".join([*head, *rows]) + "\r\n").encode("utf-8-sig")}, params, read)


def em50() -> Shape:
    """Decagon EM50: two lines over the header, doubled names, no seconds, #N/A for no value."""
    head = [
        "EM12345,Port 1,Port 1,Port 2,Port 2",
        "150 records,5TM Moist/Temp,5TM Moist/Temp,5TM Moist/Temp,5TM Moist/Temp",
        "Measurement Time,m³/m³ VWC,°C Temp,m³/m³ VWC,°C Temp",
    ]
    rows = [
        f"{t.month}/{t.day}/{t.year} {(t.hour - 1) % 12 + 1}:{t:%M %p},0.{200 + row % 50},{_warm(row):.1f},{'#N/A' if row % 11 == 0 else f'0.{310 + row % 30}'},{_warm(row, 1):.1f}"
        for row, t in _times(datetime(2026, 1, 12, 10, 0), timedelta(hours=1), 150)
    ]
    names = ["m³/m³ VWC", "°C Temp", "m³/m³ VWC_2", "°C Temp_2"]

    def read(data: bytes) -> Reading:
        table = list(csv.reader(io.StringIO(data.decode("latin-1"))))
        return [
            (
                datetime.strptime(row[0], "%m/%d/%Y %I:%M %p").replace(tzinfo=UTC),
                dict(zip(names, map(_number, row[1:]), strict=True)),
            )
            for row in table[3:]
        ]

    params = {
        "delimiter": ",",
        "encoding": "latin-1",
        "skip_lines": 3,
        "columns": ["Measurement Time", *names],
        "timestamp_column": "Measurement Time",
        "timestamp_format": "%m/%d/%Y %I:%M %p",
        "domains": {"floats": names},
        "types": {"floats": "float"},
    }
    return Shape({"EM12345 pier.csv": ("\r\n".join([*head, *rows]) + "\r\n").encode("latin-1")}, params, read)


def sensor_community() -> Shape:
    """sensor.community's archive: one file a sensor and day, the time in column 6 without an offset, which is UTC."""
    names = "sensor_id;sensor_type;location;lat;lon;timestamp;pressure;altitude;pressure_sealevel;temperature;humidity"
    files = {}
    for number in range(14):
        rows = [
            f"{3100 + number};BME280;{1500 + number};48.{100 + number};-4.{400 + number};{t:%Y-%m-%dT%H:%M:%S};{101_000 + row}.{row % 100:02};;;{_warm(row, number % 3):.2f};{60 + row % 30}.5"
            for row, t in _times(datetime(2026, 1, 20, 0, 1, number), timedelta(seconds=150 + number), 20)
        ]
        files[f"2026-01-20_bme280_sensor_{3100 + number}.csv"] = ("\n".join([names, *rows]) + "\n").encode("ascii")
    kept = ["sensor_id", "location", "lat", "lon", "pressure", "temperature", "humidity"]

    def read(data: bytes) -> Reading:
        return [
            (
                datetime.fromisoformat(row["timestamp"]).replace(tzinfo=ZoneInfo("UTC")),
                {name: _number(row[name]) for name in kept},
            )
            for row in csv.DictReader(io.StringIO(data.decode("ascii")), delimiter=";")
        ]

    params = {
        "timestamp_column": "timestamp",
        "device": "sensor_([0-9]+)",
        "domains": {"integers": kept[:2], "floats": kept[2:]},
        "types": {"integers": "integer", "floats": "float"},
    }
    return Shape(files, params, read)


def arduino_hall() -> Shape:
    """An Arduino with Hall sensors on mussels: an epoch and a text for the time, and a name with a compact date."""
    halls = [f"hall{number}" for number in range(1, 7)]
    start = datetime(2026, 1, 20, 9, 6, 0, tzinfo=UTC)
    rows = [
        f"{int(t.timestamp())},{t:%Y-%m-%d %H:%M:%S},{','.join(str(_wave(row, sensor)) for sensor in range(6))},{_warm(row):.2f}"
        for row, t in _times(start, timedelta(seconds=1), 400)
    ]

    def read(data: bytes) -> Reading:
        return [
            (
                datetime.fromtimestamp(int(row["POSIXt"]), UTC),
                {name: _number(row[name]) for name in (*halls, "Temp.C")},
            )
            for row in csv.DictReader(io.StringIO(data.decode("ascii")))
        ]

    params = {
        "delimiter": ",",
        "timestamp_column": "POSIXt",
        "timestamp_format": "epoch_s",
        "domains": {"integers": halls, "floats": ["Temp.C"]},
        "types": {"integers": "integer", "floats": "float"},
    }
    text = "\r\n".join([f"POSIXt,DateTime,{','.join(halls)},Temp.C", *rows]) + "\r\n"
    return Shape({"20260120_0906_00_SN003.csv": text.encode("ascii")}, params, read)


def lora_node() -> Shape:
    """A LoRa node: its header is a comment, written again at each boot; epoch seconds stand in field 3."""
    names = ["node", "rssi", "epoch", "hall1", "hall2", "temp"]
    lines = []
    for row, t in _times(datetime(2026, 1, 20, 23, 50, tzinfo=UTC), timedelta(seconds=10), 300):
        if row % 110 == 0:
            lines.append(f"# {', '.join(names)}")
        lines.append(f"7,{-90 - row % 12},{int(t.timestamp())},{_wave(row, 0)},{_wave(row, 1)},{_warm(row):.2f}")

    def read(data: bytes) -> Reading:
        rows = [line for line in data.decode("ascii").splitlines() if not line.startswith("#")]
        kept = [name for name in names if name != "epoch"]
        return [
            (datetime.fromtimestamp(int(row["epoch"]), UTC), {name: _number(row[name]) for name in kept})
            for row in csv.DictReader(rows, fieldnames=names)
        ]

    params = {
        "delimiter": ",",
        "comment": "#",
        "columns": names,
        "timestamp_column": "epoch",
        "timestamp_format": "epoch_s",
        "domains": {"integers": ["node", "rssi", "hall1", "hall2"], "floats": ["temp"]},
        "types": {"integers": "integer", "floats": "float"},
    }
    return Shape({"node7.csv": ("\n".join(lines) + "\n").encode("ascii")}, params, read)


def algaewatch() -> Shape:
    """AlgaeWatch: tabs, no header, the day first; its `.txt` was renamed to `.tsv`."""
    rows = [
        f"{t:%d/%m/%Y %H:%M:%S}\t{_warm(row):.2f}\t{row % 40}\t{row % 13 / 8}"
        for row, t in _times(datetime(2026, 1, 12, 20, 0), timedelta(minutes=5), 200)
    ]

    def read(data: bytes) -> Reading:
        table = csv.reader(io.StringIO(data.decode("ascii")), delimiter="\t")
        return [
            (
                datetime.strptime(row[0], "%d/%m/%Y %H:%M:%S").replace(tzinfo=UTC),
                {f"field_{place}": _number(text) for place, text in enumerate(row[1:], start=2)},
            )
            for row in table
        ]

    params = {
        "delimiter": "\t",
        "columns": ["ts", "field_2", "field_3", "field_4"],
        "timestamp_format": "%d/%m/%Y %H:%M:%S",
        "domains": {"integers": ["field_3"], "floats": ["field_2", "field_4"]},
        "types": {"integers": "integer", "floats": "float"},
    }
    return Shape({"algaewatch.tsv": ("\r\n".join(rows) + "\r\n").encode("ascii")}, params, read)


def skab() -> Shape:
    """SKAB, the Skoltech anomaly benchmark: `;`, CRLF, a blank between date and time."""
    kept = ["Accelerometer1RMS", "Current", "Temperature", "anomaly", "changepoint"]
    rows = [
        f"{t:%Y-%m-%d %H:%M:%S};0.0{row % 9 + 1}{row % 7};{row % 5 / 2 + 1};{_warm(row, 60)};{float(row > 150)};{float(row == 151)}"
        for row, t in _times(datetime(2026, 1, 20, 9, 0), timedelta(seconds=1), 250)
    ]

    def read(data: bytes) -> Reading:
        return [
            (
                datetime.strptime(row["datetime"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC),
                {name: _number(row[name]) for name in kept},
            )
            for row in csv.DictReader(io.StringIO(data.decode("ascii")), delimiter=";")
        ]

    params = {
        "timestamp_column": "datetime",
        "domains": {"floats": kept},
        "types": {"floats": "float"},
    }
    text = "\r\n".join([f"datetime;{';'.join(kept)}", *rows]) + "\r\n"
    return Shape({"14.csv": text.encode("ascii")}, params, read)


SHAPES = {
    "exo": exo(),
    "toa5": toa5(),
    "hobo": hobo(),
    "em50": em50(),
    "sensor.community": sensor_community(),
    "arduino_hall": arduino_hall(),
    "lora_node": lora_node(),
    "algaewatch": algaewatch(),
    "skab": skab(),
}
