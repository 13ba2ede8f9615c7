"""What the driver scripts share: the command line, a pool of workers, and one JSON line per result."""

import argparse
import datetime
import decimal
import json
import uuid


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--dbname", required=True)
    parser.add_argument("--workers", type=int, default=4, help="clients at once, each with a key of its own")
    parser.add_argument("--only", help="run this case alone")
    return parser.parse_args()


def plain(value):
    """A value as JSON has it, with its Python type kept where JSON has none."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"bytes": bytes(value).hex()}
    if isinstance(value, (decimal.Decimal, uuid.UUID, datetime.date, datetime.time, datetime.timedelta)):
        return {type(value).__name__: str(value)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)) or hasattr(value, "keys"):
        return [plain(item) for item in (value.values() if hasattr(value, "keys") else value)]
    return {type(value).__name__: str(value)}


class Report:
    """The results of one worker, printed when all have ended: what they did at once then reads in one order."""

    def __init__(self, worker):
        self.worker = worker
        self.case = ""
        self.lines = []

    def say(self, what, value=None):
        self.lines.append(json.dumps({"worker": self.worker, "case": self.case, what: plain(value)}, sort_keys=True))

    def failed(self, error):
        """An error of the server: its SQLSTATE alone, or what broke when there is none."""
        state = getattr(error, "sqlstate", None)
        self.say("error", state or f"{type(error).__name__}: {error}")


def chosen(cases, only):
    return [case for case in cases if only in (None, case.__name__)]


def show(reports):
    for report in reports:
        for line in report.lines:
            print(line)
