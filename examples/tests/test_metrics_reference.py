"""The numbers that the risk service's measures are held to are still those of scikit-learn."""

from __future__ import annotations

import subprocess
import sys
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "services/risk/tests/metrics/reference.py"


class ReferenceTest(unittest.TestCase):
    def test_the_script_makes_the_kept_reference_again(self) -> None:
        run = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)


if __name__ == "__main__":
    unittest.main()
