"""The funnel: what each step of building the corpus removed and left, and which key of the config decides it."""

from typing import Any

from ipcascade.core.errors import UserError


class Funnel:
    """What each step removed and left. Every step's `left` is the one before less its own `removed`."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Any]] = []

    def start(self, step: str, amount: int, unit: str) -> None:
        """The first step: what there is before anything is removed. Raises UserError where that is nothing."""
        self.steps.append({"step": step, "key": None, "removed": 0, "left": amount, "unit": unit})
        if amount == 0:
            raise UserError(f"{step}: the table has no rows, so there is no corpus to build; fetch the delivery again")

    def keep(self, step: str, left: int, key: str | None, value: object = None, unit: str | None = None) -> None:
        """A further step, with the key in the config that decides it, and its value.

        Raises UserError where it leaves nothing.
        """
        last = self.steps[-1]
        self.steps.append(
            {"step": step, "key": key, "removed": last["left"] - left, "left": left, "unit": unit or last["unit"]}
        )
        if left == 0:
            advice = f"change {key} (now {value!r})" if key else "check that the tables are of the same edition"
            raise UserError(
                f"the corpus is empty: the step {step!r} removed the last {last['left']:,} {last['unit']}; {advice}"
            )
