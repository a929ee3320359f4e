//! Text of anybody → text in which nothing is unseen and no runner finds a command. It never
//! decides what is said.
//!
//! How a runner reads a log: `ActionCommand.cs` and `OutputManager.cs` of
//! <https://github.com/actions/runner>. It compares by culture, so that letters without a width
//! count for nothing there.

use std::fmt::Write as _;

/// A line in which no runner finds a command; passwords stay.
pub fn inert(text: &str) -> String {
    // `##[command]` is obeyed anywhere in a line, `::command::` where one begins.
    let line = visible(text).replace("##[", "##\\u{5b}");
    let start = line.trim_start();
    match start.strip_prefix("::") {
        Some(rest) => format!("{}\\u{{3a}}:{rest}", &line[..line.len() - start.len()]),
        None => line,
    }
}

/// What is unseen, or steers a terminal, as an escape.
pub fn visible(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' => seen.push_str("\\n"),
            '\r' => seen.push_str("\\r"),
            '\t' => seen.push(letter),
            // Writing into a string cannot fail.
            _ if is_unseen(letter) => drop(write!(seen, "\\u{{{:x}}}", u32::from(letter))),
            _ => seen.push(letter),
        }
    }
    seen
}

/// Letters that have no shape of their own, or move others: controls, directions, what a comparison
/// by culture skips.
pub fn is_unseen(letter: char) -> bool {
    letter.is_control()
        || matches!(u32::from(letter),
            0xad | 0x34f | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x8e2 | 0x115f | 0x1160 | 0x17b4 | 0x17b5 | 0x180b..=0x180f
            | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0x3164 | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xfff0..=0xfffb
            | 0x110bd | 0x110cd | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff)
}
