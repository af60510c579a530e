"""`tinyvae reproduce`: published experiments, listed or run, with what was published beside what came out."""

import textwrap
from dataclasses import asdict
from pathlib import Path

import tinyvae as tv
from tinyvae.cli import results, words
from tinyvae.machine import files

__all__ = ["reproduce"]

WIDTH = 900  # pixels of a page's figure, at most


def reproduce(args):
    """List the published experiments, or run one: again, and it goes on where it was stopped.

    Prints published numbers beside measured ones; writes NAME.json and NAME.png into --out, and into its folder NAME
    what is needed to go on.
    """
    from tinyvae import plots
    from tinyvae import reproduce as room
    from tinyvae.reproduce import page

    if args.experiment is None:
        return _list(room)
    name, experiment = args.experiment, room.find(args.experiment)
    settings, folder = experiment.RECIPES[args.recipe], Path(args.out, args.experiment)
    results.require(args, f"{name}.json", f"{name}.png")
    if args.page:
        beside = Path(args.page).parent / f"reproduced_{name}.png"
        for path in (args.page, beside):
            files.require_writable(path, results.ROOM)
    try:
        outcome = room.run(name, experiment, settings, args.seed, folder)
    except KeyboardInterrupt:
        args.kept = f"; the same command goes on from there, with what is in {folder}"
        raise
    found = experiment.rows(outcome.results)
    results.write_json(
        args,
        f"{name}.json",
        {
            "version": tv.__version__,
            "experiment": name,
            "title": experiment.TITLE,
            "source": experiment.SOURCE,
            "recipe": args.recipe,
            "settings": asdict(settings),
            "seed": args.seed,
            "date": outcome.date,
            "machine": outcome.machine,
            "seconds": outcome.seconds,
            "rows": [row._asdict() for row in found],
            "parts": outcome.results,
        },
    )
    figure = experiment.figure(outcome.results)
    results.write_figure(args, f"{name}.png", figure)
    if args.page:
        before = Path(args.page).read_text(encoding="utf-8") if Path(args.page).exists() else ""
        text = page.section(name, experiment, args.recipe, args.seed, outcome, tv.__version__)
        files.write(args.page, page.replaced(before, name, text).encode())
        plots.save(figure, beside, WIDTH)
        args.written += [Path(args.page), beside]
    _print(experiment, found, args, outcome)
    results.say_written(args)


def _print(experiment, found, args, outcome):
    from tinyvae.reproduce import rows

    words.say(f"{experiment.TITLE}. {experiment.SOURCE}.")
    print()
    table = [rows.HEADER, *map(rows.cells, found)]
    widths = [max(map(len, column)) for column in zip(*table)]
    for first, *rest, last in table:
        middle = (cell.rjust(width) for cell, width in zip(rest, widths[1:]))
        print("  ".join([first.ljust(widths[0]), *middle, last]).rstrip())
    print()
    for row in found:
        if row.remark:
            words.say(f"{row.quantity}: {row.remark}")
    if args.recipe == "miniature":
        words.say("A miniature only shows that the experiment runs: its numbers are not to be compared.")
    here, spent = outcome.machine, ", ".join(f"{part} {seconds:,.1f}" for part, seconds in outcome.seconds.items())
    words.say(
        f"Recipe {args.recipe}, seed {args.seed}; seconds: {spent}; {outcome.date}, {here['cpu']}, "
        f"{here['workers']} of {here['cores']} cores; tinyvae {tv.__version__}, Python {here['python']}, "
        f"NumPy {here['numpy']}."
    )


def _list(room):
    from tinyvae.reproduce.run import data_of

    for name in room.names():
        experiment = room.EXPERIMENTS[name]
        print(f"{name:<14}{experiment.TITLE}")
        needs = " and ".join(data_of(experiment.RECIPES["short"])) or "no data"
        minutes = ", ".join(f"{recipe} {_time(experiment.MINUTES[recipe])}" for recipe in ("short", "full"))
        print(textwrap.fill(f"{experiment.SOURCE}. Needs {needs}; {minutes}.", 118, initial_indent=" " * 14,
                            subsequent_indent=" " * 14))  # fmt: skip
    print("\nRun one:  tinyvae reproduce NAME    The times are of two cores.")


def _time(minutes):
    return words.counted(minutes, "minute") if minutes < 120 else f"{minutes / 60:.0f} hours"
