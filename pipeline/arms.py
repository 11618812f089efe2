"""The two arms of the experiment: their names, their order, their colours."""

ARMS = ("benchmark", "proposed")
"""Trained without and with the rate term; every comparison is of the second against the first."""

ARM_COLOURS = {"benchmark": "#0072B2", "proposed": "#D55E00"}
"""Of Okabe and Ito's colour-blind-safe colours, wherever an arm is drawn."""
