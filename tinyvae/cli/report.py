"""What `tinyvae evaluate` has measured: a table of numbers with errors and costs, and sentences."""

import contextlib
import math
import time
import warnings

import tinyvae as tv
from tinyvae.cli import words

__all__ = ["Report", "mean_of"]


class Report:
    """What has been measured so far: numbers in the order of the table, and sentences.

    Parameters
    ----------
    bar : tqdm.tqdm
        Shows which part is measured.
    """

    def __init__(self, bar):
        self.rows, self.sentences, self.bar = [], [], bar

    @contextlib.contextmanager
    def part(self, name, passes):
        """A context in which one part is measured, which takes so many decoder passes; warnings become sentences."""
        self.bar.set_description(name)
        first, start = len(self.rows), time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            yield
        self.bar.update()
        self.sentences += [f"Warning: {warning.message}." for warning in caught]
        if len(self.rows) > first:  # what a part costs stands beside its first number
            self.rows[first] |= {"decoder_passes": passes, "seconds": time.perf_counter() - start}

    def add(self, key, name, value, error=math.nan, unit="nats"):
        """A number, its standard error (NaN for none) and its unit."""
        self.rows.append({"key": key, "name": name, "value": float(value), "error": float(error), "unit": unit})

    def add_bits(self, model, x, log_p, name="bits per pixel"):
        """An Estimate of log p(x) in bits a pixel, or a sentence that says why there are none."""
        try:
            bits, levels = tv.evaluate.bits_per_pixel(model, x, log_p)
        except ValueError as error:
            self.say(f"Bits per pixel are left out: {error}.")
            return
        self.add("bits_per_pixel", name, *bits, unit="bits")
        if levels > 1:
            self.say(
                f"Bits per pixel are of densities of pixels that were divided by {levels}: log {levels} nats a pixel "
                "are added, the Jacobian. Without uniform noise of one step on the pixels they are no length of a code."
            )

    def cost(self, key, passes):
        """How many decoder passes a part turned out to take, each forward and back, whose first number it is."""
        next(row for row in self.rows if row["key"] == key)["decoder_passes"] = passes

    def say(self, sentence):
        """A sentence below the table."""
        self.sentences.append(sentence)

    def show(self):
        """Print the table and the sentences."""
        header, table = ("quantity", "value", "error", "unit", "decoder passes", "seconds"), []
        for row in self.rows:
            cost = f"{row['decoder_passes']:,}" if "seconds" in row else ""
            table.append((row["name"], *_digits(row["value"], row["error"]), row["unit"], cost, _seconds(row)))
        words.print_table(header, *table)
        print()
        words.say(
            "Errors are standard errors, the model held: of other data points, or of other draws. A decoder pass "
            "decodes one code; what a part took stands at its first number."
        )
        for sentence in self.sentences:
            print()
            words.say(sentence)


def mean_of(each):
    """The mean of numbers, and its standard error.

    Parameters
    ----------
    each : array (n,)
        One of each data point.

    Returns
    -------
    Estimate
    """
    return tv.evaluate.Estimate(float(each.mean()), float(each.std(ddof=1) / math.sqrt(len(each))))


def _digits(value, error):
    """A number and its error, in as many decimals as two digits of the error take."""
    if not math.isfinite(error) or error <= 0:
        return f"{value:.6g}" if float(value).is_integer() else words.number(value), ""
    decimals = min(6, max(0, 1 - math.floor(math.log10(error))))
    return f"{value:.{decimals}f}", f"{error:.{decimals}f}"


def _seconds(row):
    return f"{row['seconds']:.1f}" if "seconds" in row else ""
