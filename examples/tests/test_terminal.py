"""Progress, tables and credentials."""

from __future__ import annotations

import io
import tempfile
import unittest
from pathlib import Path

from support import credentials_file

from apiclient.credentials import load_all, pick
from apiclient.errors import UserError
from apiclient.progress import Progress
from apiclient.table import render


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class ProgressTest(unittest.TestCase):
    def test_elsewhere_it_writes_plain_lines(self) -> None:
        stream = io.StringIO()
        progress = Progress("messages", 20, stream)
        progress.advance(20)
        progress.close()
        self.assertEqual(stream.getvalue(), "messages: 20 of 20\n")

    def test_on_a_terminal_it_draws_a_bar_on_one_line(self) -> None:
        stream = Terminal()
        progress = Progress("messages", 20, stream)
        progress.advance(20)
        progress.close()
        self.assertIn("█" * 28 + " 20/20", stream.getvalue())
        self.assertEqual(stream.getvalue().count("\n"), 1)


class TableTest(unittest.TestCase):
    def test_columns_line_up_and_the_last_one_wraps(self) -> None:
        text = render(("who", "why"), [("client-001", "one two three four five six")], width=30)
        self.assertEqual(
            text.splitlines(),
            [
                "who         why",
                "─" * 10 + "  " + "─" * 24,
                "client-001  one two three four five",
                "            six",
            ],
        )

    def test_a_table_is_no_wider_than_its_content(self) -> None:
        self.assertEqual(render(("a", "b"), [("1", "2")]), "a  b\n─  ─\n1  2")


class CredentialsTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_entries_carry_a_token_and_a_user_or_client_id(self) -> None:
        path = credentials_file(self.folder)
        entries = load_all(path)
        self.assertEqual(pick(entries, "pipeline", path).principal_id, "pipeline")
        self.assertEqual(pick(entries, "counselor", path).principal_id, "staff-counselor")
        self.assertNotIn("token-of", repr(entries))

    def test_an_absent_or_broken_file_says_what_to_do(self) -> None:
        for content in (None, "{", "[]", '{"admin": {}}'):
            path = self.folder / "other.json"
            if content is not None:
                path.write_text(content, encoding="utf-8")
            with self.subTest(content=content), self.assertRaisesRegex(UserError, "make demo"):
                load_all(path)

    def test_an_absent_entry_is_named(self) -> None:
        with self.assertRaisesRegex(UserError, "'pipeline'"):
            pick({}, "pipeline", Path("x"))


if __name__ == "__main__":
    unittest.main()
