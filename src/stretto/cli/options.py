"""The options that every verb takes. Knows no verb."""

import argparse


def common() -> argparse.ArgumentParser:
    """The options that every verb takes, before or after its name."""
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = common.add_argument_group("for every verb")
    group.add_argument("--json", action="store_true", help="print JSON, for programs")
    group.add_argument("-v", "--verbose", action="count", help="log to stderr; -vv logs more")
    group.add_argument("--log-format", choices=("text", "json"), help="how logs are written (default: text)")
    return common
