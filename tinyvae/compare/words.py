"""What a comparison shows, in words."""

__all__ = ["verdict", "brief"]


def verdict(table, points, settings):
    """What the table shows, in words.

    Parameters
    ----------
    table : dict
        {estimator: row}, see `Comparison`.
    points : list of dict
        The measurements along training, likewise.
    settings : Settings
        Of the run.

    Returns
    -------
    dict
        {"variance", "bound", "cost", "biased"}, a sentence or two each, the last where one is biased by design, which
        averaging does not mend; empty for a single estimator.
    """
    if len(table) == 1:
        return {}
    ranked = sorted(table, key=lambda name: table[name]["variance"][0])
    wins = sum(
        min(p["estimators"], key=lambda name: p["estimators"][name]["encoder"]["variance"][0]) == ranked[0]
        for p in points
    )
    others = _listed(_times(name, table[name]["ratio_to_best"]) for name in ranked[1:])
    by_elbo = sorted(table, key=lambda name: -table[name]["elbo"])
    behind = _listed(f"{table[by_elbo[0]]['elbo'] - table[name]['elbo']:.2f} above {name}" for name in by_elbo[1:])
    biased = [name for name, row in table.items() if row.get("biased")]
    price = {name: row["variance_times_step_cost"][0] for name, row in table.items() if name not in biased}
    by_price = sorted(price, key=price.get)
    prices = _listed(f"{name} {brief(price[name] / price[by_price[0]])} times as long" for name in by_price[1:])
    found = {
        "variance": f"At the same parameters, {ranked[0]} gave the encoder's gradient the least variance at {wins} of "
        f"the {len(points)} points along training; at the end {others}.",
        "bound": f"After {settings.epochs} epochs {by_elbo[0]} reached the highest bound, "
        f"{table[by_elbo[0]]['elbo']:.2f} nats a test {settings.one}, {behind} "
        "(one run each, and another seed moves these numbers).",
    }
    if len(price) > 1:
        found["cost"] = (
            f"To make the gradient equally accurate by averaging, {by_price[0]} takes the least time, {prices} "
            "(variance x ms)."
        )
    if biased:
        found["biased"] = (
            f"Biased by design: {', '.join(biased)}. A variance tells how quiet they are, not how good: averaging does "
            "not mend a bias."
        )
    return found


def _listed(parts):
    *most, last = [*parts] or [""]
    return " and ".join([", ".join(most), last]) if most else last


def _times(name, ratio):
    value, low, high = ratio
    if low <= 1 <= high:
        return f"{name} could not be told apart from it"
    return f"{name} had {brief(value)} times its variance (95% interval {brief(low)} to {brief(high)})"


def brief(value):
    """A number of at least 0 in three digits, without an exponent where none is needed.

    Parameters
    ----------
    value : float
        The number.

    Returns
    -------
    str
        Its words.
    """
    return f"{value:.0f}" if 100 <= value < 1e6 else f"{value:.3g}"
