"""The course on the command line: `lessons` lists, runs and copies them, `exercise` prints and judges."""

import contextlib
import os
import re
import shutil
import sys
import textwrap
import warnings
from pathlib import Path

from tinyvae.cli import results, words
from tinyvae.exercises import course, processes

__all__ = ["lessons", "exercise"]

WIDTH = 118
ENDS = {"right": "right", "not done": "not done yet", "wrong": "wrong", "failed": "failed"}


def lessons(args):
    """List the lessons, run one, or copy them.

    A lesson is run here, with its figures in the folder `figures` of --out.
    """
    chosen = course.lessons() if args.lesson is None else [course.find(args.lesson)]
    if args.copy:
        return _copy(args, chosen)
    if args.lesson is not None:
        _require_ours(args.lesson, chosen[0])
        return _run(args, chosen[0])
    for lesson in chosen:
        minutes = f" ({lesson.minutes} minutes)" if lesson.minutes else ""
        print(f"{lesson.number}  {lesson.title}{minutes}")
        _indented(lesson.question, 4)
    print("\nRun one:  tinyvae lessons NUMBER    Edit them:  tinyvae lessons --copy DIR")


def _require_ours(word, lesson):
    """Raise where the word is the path of an edited copy: what would be run is the lesson as it came."""
    path = Path(word)
    if path.suffix == ".py" and path.is_file() and path.read_bytes() != lesson.path.read_bytes():
        raise ValueError(f"{word} is not the lesson as it came: run your copy with python {word}")


def _run(args, lesson):
    """Run a lesson as a notebook would, where `__file__` is missing: it puts its figures where it is run."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figures, here = Path(args.out, "figures"), os.getcwd()
    before = _times(figures)
    results.require(args)
    code = compile(lesson.path.read_bytes(), str(lesson.path), "exec")
    os.chdir(args.out)
    try:
        exec(code, {"__name__": "__main__"})
    except (OSError, MemoryError):  # the machine's: a full disk, an output that nobody reads any more
        raise
    except Exception as error:  # the lesson is ours, and so is the error
        raise RuntimeError(f"lesson {lesson.number} ended early") from error
    finally:
        os.chdir(here)
        pyplot.close("all")
        after = _times(figures)
        args.written += [path for path, time in after.items() if before.get(path) != time]
    print()
    results.say_written(args)


def _times(folder):
    return {path: path.stat().st_mtime_ns for path in sorted(folder.glob("*.png"))}


def _copy(args, chosen):
    """Copy the lessons, their exercises and what belongs to them; raise before anything is written over."""
    source = course.folder()
    files = [path for lesson in chosen for path in (lesson.path, lesson.path.parent / "exercises" / lesson.path.name)]
    if args.lesson is None:
        files += [source / "README.md", *sorted((source / "pages").glob("*"))]
    pairs = [(path, Path(args.copy, path.relative_to(source))) for path in files if path.is_file()]
    for path, target in pairs:
        if target.exists() and (not target.is_file() or target.read_bytes() != path.read_bytes()):
            raise FileExistsError(f"{target} is there already, and is another: give another folder, or move it away")
    for path, target in pairs:
        results.make_folder(target.parent)
        if not target.exists():
            shutil.copyfile(path, target)
            args.written.append(target)
    n = len(chosen)
    print(f"{words.counted(n, 'lesson')} in {args.copy}; run one:  python {pairs[0][1]}")


def exercise(args):
    """List the exercises, print a lesson's stub, or judge a file of answers.

    Returns the exit status: 0, or 1 where an answer is wrong, fails or is not there yet.
    """
    if args.check:
        return _judge(args, course.find(args.lesson))
    if args.lesson is not None:
        print(course.stub(course.find(args.lesson)).read_text(encoding="utf-8"), end="")
        return
    for lesson in course.lessons():
        with contextlib.suppress(ValueError):  # it has none
            tasks = course.tasks(lesson)
            print(f"{lesson.number}  {lesson.title}")
            for name, task in tasks.items():
                _indented(f"{name}: {task}", 4, 8)
    print("\nStart with:  tinyvae exercise 00 > mine_00.py    Then:  tinyvae exercise 00 --check mine_00.py")


def _judge(args, lesson):
    names, room = list(course.tasks(lesson)), course.room(lesson)
    _require_code(args.check)
    rights, longest = 0, max(map(len, names))
    with contextlib.closing(processes.judge(room, names, args.check, args.check, args.seconds)) as verdicts:
        for judged in verdicts:
            kind, message = judged.verdict
            if kind == "unread":
                raise ValueError(f"{args.check} could not be run: {message}")
            if kind == "empty":
                none = f"{args.check} defines none of the exercises of lesson {lesson.number}, {', '.join(names)}"
                raise ValueError(f"{none}: {_instead(args.check, lesson)}")
            rights += kind == "right"
            _show(judged, f"{ENDS[kind]}: {message}" if message else ENDS[kind], longest)
    print(f"{rights} of {len(names)} {'is' if rights == 1 else 'are'} right.")
    return 0 if rights == len(names) else 1


def _instead(path, lesson):
    """What to do with a file that holds no answer to a lesson."""
    defined = {name.decode() for name in re.findall(rb"^def +(\w+)", Path(path).read_bytes(), re.MULTILINE)}
    for other in course.lessons():
        with contextlib.suppress(ValueError):  # it has none
            if defined & set(course.tasks(other)):
                return f"it holds lesson {other.number}'s, tinyvae exercise {other.number} --check {path}"
    return f"start with tinyvae exercise {lesson.number} > mine_{lesson.number}.py"


def _show(judged, said, longest):
    _indented(f"{judged.name:<{longest}}  {said}", 0, longest + 2)
    for line in judged.printed:
        print(f"  | {line}")
    if judged.more:
        print(f"  | ... and {words.counted(judged.more, 'line')} more that it printed")
    sys.stdout.flush()  # the next one may take its time


def _require_code(path):
    """Raise unless a path names a file that Python can read."""
    if Path(path).is_dir():
        raise IsADirectoryError(f"--check {path}: this is a folder, give the file of your answers")
    if Path(path).exists() and not Path(path).is_file():
        raise ValueError(f"--check {path}: this is no file on a disk; save your answers in one")
    if not Path(path).is_file():
        raise FileNotFoundError(f"--check {path}: there is no such file")
    if b"\0" in Path(path).read_bytes():
        raise ValueError(f"{path} is no text in UTF-8: save your answers as a plain Python file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(Path(path).read_bytes(), path, "exec", dont_inherit=True)
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""
        raise ValueError(f"{path}{line}: {type(error).__name__}: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"{path} is no Python: {type(error).__name__}: {error}") from error


def _indented(text, first, rest=None):
    """Print a paragraph with its first line and the others indented."""
    spaces = [" " * n for n in (first, first if rest is None else rest)]
    wrapped = textwrap.wrap(
        text, WIDTH, initial_indent=spaces[0], subsequent_indent=spaces[1], break_long_words=False,
        break_on_hyphens=False, drop_whitespace=True,
    )  # fmt: skip
    print("\n".join(wrapped))
