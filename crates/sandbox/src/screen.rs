//! Renders the final appearance of a command's output, so that a progress bar is one line instead of one line per
//! update.
//!
//! This module emulates a terminal that never wraps lines. Memory is bounded: only the last [`ROWS`] lines can be
//! overwritten, and only while they have up to [`COLUMNS`] characters.

use std::collections::VecDeque;

use super::terminal::Step;

/// Number of lines to which the cursor can move back. Few programs show more progress bars at once.
const ROWS: usize = 32;
/// Maximum length in characters of a line that can be overwritten. Longer lines are data, not progress bars.
const COLUMNS: usize = 4096;

/// The lines that can still be overwritten, and the final text before them (`done`).
#[derive(Debug)]
pub struct Screen {
    lines: VecDeque<Line>,
    row: usize,
    column: usize,
    /// True if the current line exceeds [`COLUMNS`]. Its text then goes directly to `done`.
    is_spilled: bool,
    done: String,
}

#[derive(Debug, Default)]
struct Line {
    characters: Vec<char>,
    /// True if a character was overwritten or erased. Trailing spaces then only hide older text, and are removed.
    is_rewritten: bool,
}

impl Default for Screen {
    fn default() -> Self {
        Self {
            lines: VecDeque::from([Line::default()]),
            row: 0,
            column: 0,
            is_spilled: false,
            done: String::new(),
        }
    }
}

impl Screen {
    /// Applies a step. In a line longer than [`COLUMNS`], control sequences are ignored, and a carriage return starts
    /// a new line.
    pub fn step(&mut self, step: Step<'_>) {
        match step {
            Step::Text(text) if self.is_spilled => self.done.push_str(text),
            Step::Text(text) => self.print(text),
            Step::NewLine => self.new_line(),
            Step::Return if self.is_spilled => self.new_line(),
            Step::Return => self.column = 0,
            Step::Control(..) if self.is_spilled => {}
            Step::Control(name, number) => self.control(name, number),
        }
    }

    /// Returns the text that has become final since the last call.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.done)
    }

    /// Makes all lines final and returns their text.
    pub fn finish(mut self) -> String {
        self.settle();
        self.done
    }

    fn print(&mut self, text: &str) {
        let line = &mut self.lines[self.row];
        if self.column == line.characters.len() {
            line.characters.extend(text.chars());
            self.column = line.characters.len();
        } else {
            for character in text.chars() {
                line.put(self.column, character);
                self.column += 1;
            }
        }
        if line.characters.len() > COLUMNS {
            // The current line is too long to keep. The text becomes final, including the lines below the cursor.
            self.row = self.lines.len() - 1;
            self.settle();
            self.is_spilled = true;
        }
    }

    fn new_line(&mut self) {
        self.column = 0;
        if std::mem::take(&mut self.is_spilled) {
            self.done.push('\n');
        } else if self.row + 1 < self.lines.len() {
            self.row += 1;
        } else if self.lines.len() < ROWS {
            self.lines.push_back(Line::default());
            self.row += 1;
        } else if let Some(mut line) = self.lines.pop_front() {
            line.write_to(&mut self.done);
            self.done.push('\n');
            line.clear();
            self.lines.push_back(line);
        }
    }

    /// Applies a control sequence that moves the cursor or erases text. Ignores all other control sequences, such as
    /// colours.
    fn control(&mut self, name: char, number: Option<usize>) {
        let count = number.unwrap_or(1).max(1);
        match name {
            'A' => self.row = self.row.saturating_sub(count),
            'B' => self.row = (self.row + count).min(self.lines.len() - 1),
            'C' => self.column = (self.column + count).min(COLUMNS),
            'D' => self.column = self.column.saturating_sub(count),
            'E' => (self.row, self.column) = ((self.row + count).min(self.lines.len() - 1), 0),
            'F' => (self.row, self.column) = (self.row.saturating_sub(count), 0),
            'G' => self.column = (count - 1).min(COLUMNS),
            'K' => self.lines[self.row].erase(number.unwrap_or_default(), self.column),
            'J' if number.unwrap_or_default() == 0 => {
                self.lines[self.row].erase(0, self.column);
                self.lines.truncate(self.row + 1);
            }
            _ => {}
        }
    }

    fn settle(&mut self) {
        for (index, line) in self.lines.iter().enumerate() {
            if index > 0 {
                self.done.push('\n');
            }
            line.write_to(&mut self.done);
        }
        self.lines.truncate(1);
        self.lines[0].clear();
        (self.row, self.column) = (0, 0);
    }
}

impl Line {
    fn put(&mut self, column: usize, character: char) {
        if column < self.characters.len() {
            self.characters[column] = character;
            self.is_rewritten = true;
        } else {
            self.characters.resize(column, ' ');
            self.characters.push(character);
        }
    }

    fn erase(&mut self, part: usize, column: usize) {
        self.is_rewritten = true;
        match part {
            0 => self.characters.truncate(column),
            1 => {
                let end = (column + 1).min(self.characters.len());
                self.characters[..end].fill(' ');
            }
            2 => self.characters.clear(),
            _ => {}
        }
    }

    fn write_to(&self, text: &mut String) {
        let start = text.len();
        text.extend(&self.characters);
        if self.is_rewritten {
            let end = text[start..].trim_end_matches(' ').len();
            text.truncate(start + end);
        }
    }

    fn clear(&mut self) {
        self.characters.clear();
        self.is_rewritten = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::{Decoder, Parser};

    /// Returns the final text, and checks that the split into chunks does not change it.
    fn shown(bytes: &[u8]) -> String {
        let whole = shown_in_pieces(bytes, bytes.len().max(1));
        for size in [1, 2, 3, 7] {
            assert_eq!(shown_in_pieces(bytes, size), whole, "in pieces of {size}");
        }
        whole
    }

    fn shown_in_pieces(bytes: &[u8], size: usize) -> String {
        let (mut decoder, mut parser, mut screen) = (Decoder::default(), Parser::default(), Screen::default());
        let mut text = String::new();
        for piece in bytes.chunks(size) {
            parser.push(&decoder.push(piece), |step| screen.step(step));
            text.push_str(&screen.take());
        }
        parser.push(&decoder.finish(), |step| screen.step(step));
        text + &screen.finish()
    }

    fn numbered(count: usize) -> String {
        let lines = (0..count).map(|number| format!("line {number}\n"));
        lines.collect::<Vec<_>>().concat()
    }

    #[test]
    fn plain_text_is_unchanged() {
        for text in [
            "",
            "\n",
            "a",
            "a\n",
            "a\n\nb",
            "  padded  \n\ttab\t\n",
            "grün 🦀 終\n\n\n",
        ] {
            assert_eq!(shown(text.as_bytes()), text);
        }
        let lines = numbered(100);
        assert_eq!(shown(lines.as_bytes()), lines);
        assert_eq!(shown(b"one\r\ntwo\r\r\n"), "one\ntwo\n");
        let long = "x".repeat(3 * COLUMNS);
        assert_eq!(shown(format!("a\n{long}\nb").as_bytes()), format!("a\n{long}\nb"));
    }

    #[test]
    fn a_progress_bar_is_one_line() {
        let steps = (0..=100).map(|step| format!("\r{step:3}%|{:<10}|", "#".repeat(step / 10)));
        let bar = steps.collect::<Vec<_>>().concat();
        assert_eq!(
            shown(format!("before\n{bar}\nafter\n").as_bytes()),
            "before\n100%|##########|\nafter\n"
        );
        // Ways in which programs redraw a line: a carriage return before or after the text, erase sequences, cursor
        // movements, backspaces, and new text over old text.
        assert_eq!(shown(b"10%\r20%\r30%\r"), "30%");
        assert_eq!(shown(b"10% of much\r\x1b[K20%\r\x1b[2Kdone\n"), "done\n");
        assert_eq!(shown(b"10% \x1b[4D20% \x1b[1G30%"), "30%");
        assert_eq!(shown(b"working |\x08/\x08-\x08\\\x08done\n"), "working done\n");
        assert_eq!(shown(b"long text\rshort    \n"), "short\n");
        assert_eq!(shown(b"[    ] disk\r[ ok\n"), "[ ok ] disk\n");
    }

    #[test]
    fn several_bars_are_several_lines() {
        let steps = (1..=100).map(|step| format!("\x1b[2A\x1b[2Ka {step:3}%\n\x1b[2Kb {step:3}%\n"));
        let output = "a   0%\nb   0%\n".to_owned() + &steps.collect::<Vec<_>>().concat();
        assert_eq!(shown(output.as_bytes()), "a 100%\nb 100%\n");
        assert_eq!(shown(b"one\ntwo\nthree\x1b[2F\x1b[Jnew\n"), "new\n");
        assert_eq!(
            shown(b"one\n\x1b[A\x1b[99Cend\x1b[B\x1b[Gtwo"),
            format!("one{:96}end\ntwo", "")
        );
    }

    #[test]
    fn lines_that_scrolled_away_are_final() {
        let kept = numbered(ROWS + 5);
        let output = format!("{kept}\x1b[999A\x1b[2J\x1b[H");
        assert!(shown(output.as_bytes()).starts_with(&kept));
    }

    #[test]
    fn memory_is_bounded() {
        let (mut parser, mut screen) = (Parser::default(), Screen::default());
        for _ in 0..100 {
            parser.push(&"\x1b[9999C\x1b[9999Bx\r\x1b[9999A".repeat(1000), |step| {
                screen.step(step);
            });
            parser.push(&"y".repeat(10_000), |step| screen.step(step));
            screen.take();
            assert!(screen.lines.len() <= ROWS);
            let held: usize = screen.lines.iter().map(|line| line.characters.capacity()).sum();
            assert!(held < ROWS * 8 * COLUMNS, "{held}");
        }
    }
}
