//! How texts write lists, switches, ages and tables, how people count, and how a text of anybody is shown
//! as text alone. It never knows which input it reads.

pub mod age;
pub mod csv;
pub mod lists;
pub mod markdown;
pub mod seen;

/// A sentence with lines below it, at most forty of them, and how many more there are.
pub fn with_lines(sentence: &str, lines: &[String]) -> String {
    const MOST: usize = 40;
    let mut text = sentence.to_owned();
    for line in lines.iter().take(MOST) {
        text.push_str(&format!("\n  {line}"));
    }
    if lines.len() > MOST {
        text.push_str(&format!("\n  and {} more", lines.len() - MOST));
    }
    text
}

/// `1 tag`, `2 tags`, `2 repositories`.
pub fn plural(count: usize, word: &str) -> String {
    match (count, word.strip_suffix('y')) {
        (1, _) => format!("1 {word}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {word}s"),
    }
}
