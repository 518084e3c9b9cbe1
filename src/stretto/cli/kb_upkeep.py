"""The verbs of `stretto kb` that keep a base whole: remove, prune, verify, rebuild. Finds no base itself."""

import argparse
import sys

from stretto._internal.redact import redact
from stretto.cli.output import print_json, progress
from stretto.knowledge import AddReport, KnowledgeBase


async def kept(base: KnowledgeBase, args: argparse.Namespace) -> int:
    """Does the verb and shows what came of it; 1 when something failed or is not whole."""
    match args.action:
        case "remove":
            return await _remove(base, args)
        case "prune":
            return await _prune(base, args)
        case "verify":
            return await _verify(base, args)
        case _:
            return await _rebuild(base, args)


async def _remove(base: KnowledgeBase, args: argparse.Namespace) -> int:
    gone: list[str] = []
    for source in args.sources:
        gone.extend(await base.remove(source, tenant=args.tenant))
    if args.json:
        print_json({"removed": gone})
    else:
        print(f"{len(gone)} removed")
    return 0


async def _prune(base: KnowledgeBase, args: argparse.Namespace) -> int:
    gone = await base.prune(args.days * 86_400, tenant=args.tenant)
    if args.json:
        print_json({"forgotten": gone})
    else:
        print(f"{gone} replaced passages forgotten: citations of them cannot be opened any more")
    return 0


async def _verify(base: KnowledgeBase, args: argparse.Namespace) -> int:
    report = await base.verify(repair=args.repair, progress=progress("passages"), tenant=args.tenant)
    if args.json:
        print_json(report.as_dict())
    elif not (report.without_vector or report.unreachable or report.without_words or report.surplus):
        print(f"{report.chunks} passages: all are found")
    else:
        print(
            f"{report.chunks} passages: {len(report.without_vector)} without a vector, "
            f"{len(report.unreachable)} not found by their own vector, "
            f"{len(report.without_words)} without words, {report.surplus} rows of no passage"
        )
        if report.repaired:
            print("mended" + (", with indexes built anew" if report.rebuilt else ""))
        elif not args.repair:
            print("to mend it, add --repair", file=sys.stderr)
    return 0 if report.ok else 1


async def _rebuild(base: KnowledgeBase, args: argparse.Namespace) -> int:
    report = await base.rebuild(embedder=args.embedder, progress=progress("passages"))
    if args.json:
        print_json(report.as_dict())
    else:
        print(f"{report.chunks} passages, {report.embedded} embedded by {report.embedder}")
    return 0


def show_report(report: AddReport, *, as_json: bool, dry_run: bool) -> None:
    """What an `add` or `sync` did; problems go to the error stream."""
    if as_json:
        print_json(report.as_dict())
    else:
        if dry_run:
            for mark, names in (("+", report.added), ("~", report.changed), ("-", report.removed)):
                print("".join(f"{mark} {name}\n" for name in names), end="")
            print(f"would embed {report.embedded} passages: ", end="")
        counts = ("added", "changed", "unchanged", "removed")
        print(", ".join(f"{len(getattr(report, name))} {name}" for name in counts))
        if report.skipped:
            print(f"skipped, of a kind that is not read: {', '.join(report.skipped)}", file=sys.stderr)
        for key, warning in report.warnings:
            print(redact(f"warning: {key}: {' '.join(warning.split())}"), file=sys.stderr)
    for source, error in report.failed:
        print(redact(f"failed: {source}: {' '.join(str(error).split())}"), file=sys.stderr)
